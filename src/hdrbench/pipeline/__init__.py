"""From a replication's settings to its tables: prepare data, train, evaluate, compare with what the paper prints."""
