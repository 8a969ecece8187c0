function hdrbench_hdrvdp(number, action, varargin)
% Run one request of hdrbench and print one reply line, in GNU Octave or MATLAB.
%
%   HDRBENCH <number> ok <values>       or       HDRBENCH <number> error <message>
%
% hdrbench_hdrvdp(n, 'start', folder, entry, shim, package, ...) sets the path up.
% hdrbench_hdrvdp(n, 'score', entry, files, size, encoding, ppd, task) prints Q, and Q_JOD of hdrvdp3.
try
    switch action
        case 'start'
            start(varargin{:});
            reply = 'ok';
        case 'score'
            reply = ['ok', sprintf(' %.17g', score(varargin{:}))];
        otherwise
            error('unknown action %s', action);
    end
catch err
    place = '';
    if ~isempty(err.stack)
        place = sprintf(' (in %s, line %d)', err.stack(1).name, err.stack(1).line);
    end
    reply = ['error ', regexprep(err.message, '\s+', ' '), place];
end
% The metric prints text of its own, not always up to the end of a line.
fprintf('\nHDRBENCH %d %s\n', number, reply);
if is_octave()
    fflush(stdout);
end
end

function answer = is_octave()
answer = exist('OCTAVE_VERSION', 'builtin') ~= 0;
end

function start(folder, entry, shim, varargin)
if exist(fullfile(folder, [entry, '.m']), 'file') ~= 2
    error('%s.m cannot be seen in %s from here', entry, folder);
end
if is_octave()
    warning('off', 'Octave:shadowed-function');
    for k = 1:numel(varargin)
        try
            pkg('load', varargin{k});
        catch err
            error('%s; install it, for example as octave-%s of a Linux distribution', err.message, varargin{k});
        end
    end
end
addpath(folder);
if is_octave() && ~isempty(shim)
    addpath(shim);
end
end

function values = score(entry, files, shape, encoding, ppd, task)
test = read_image(files{1}, shape);
reference = read_image(files{2}, shape);
if strcmp(entry, 'hdrvdp3')
    options = {'use_gpu', false, 'quiet', true, 'disable_lowvals_warning', true};
    result = hdrvdp3(task, test, reference, encoding, ppd, options);
    values = [result.Q, result.Q_JOD];
else
    result = hdrvdp(test, reference, encoding, ppd);
    values = result.Q;
end
if ~isnumeric(values) || ~isreal(values)
    error('%s returned a %s that is not a real number', entry, class(values));
end
end

function image = read_image(file, shape)
handle = fopen(file, 'r', 'ieee-le');
if handle < 0
    error('cannot open %s', file);
end
image = fread(handle, Inf, 'double');
fclose(handle);
image = reshape(image, shape);
end
