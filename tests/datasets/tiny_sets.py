"""Writers of tiny data sets in the layouts of the real downloads, and a card that expects them."""

from pathlib import Path

import cv2
import numpy as np

from hdrbench.datasets import catalog
from hdrbench.imaging.io import write_hdr, write_ldr

SIZE = (12, 16)
RNG = np.random.default_rng(4)
RADIANCE = RNG.random((*SIZE, 3)).astype(np.float32) ** 2


def frame(time, bits=8):
    """What an ideal camera with gamma 2.2 makes of RADIANCE, 1 = saturation of time 1."""
    return np.clip(RADIANCE * time, 0, 1) ** (1 / 2.2)


def put(path: Path, image, bits=8):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_ldr(path, image, bits=bits)


def put_hdr(path: Path, image=RADIANCE):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_hdr(path, image)


def put_exif(path: Path, image, seconds):
    """A JPEG with its exposure time, and with all of its colour: of noise, half the colour is another picture."""
    from PIL import Image
    from PIL.TiffImagePlugin import IFDRational

    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(np.rint(image * 255).astype(np.uint8))
    exif = picture.getexif()
    exif.get_ifd(0x8769)[0x829A] = IFDRational(*seconds)
    picture.save(path, exif=exif, quality=95, subsampling=0)


def kalantari(root):
    for split, scenes in {"Training": ["001", "002"], "Test": ["Barbeque Day", "Größe"]}.items():
        for scene in scenes:
            folder = root / "kalantari" / split / scene
            for number, time in zip((2615, 2616, 2617), (1, 4, 16), strict=True):
                put(folder / f"262A{number}.tif", frame(time), bits=16)
            put_hdr(folder / "HDRImg.hdr")
            (folder / "exposure.txt").write_bytes(b"0.000000\r\n2.000000\r\n4.000000")
    return {"train": 2, "test": 2}


def sice(root):
    for part, scenes in {"Dataset_Part1": ["1", "2"], "Dataset_Part2": ["1"]}.items():
        for scene in scenes:
            for number in range(1, 12):
                put(root / "sice" / part / scene / f"{number}.JPG", frame(2.0 ** (number / 2 - 3)))
            put(root / "sice" / part / "Label" / f"{scene}.JPG", frame(2))
    return {"train": 2, "test": 1}


def mef_sequences(root):
    names = ["Balloons", "BelgiumHouse", "House", "Lighthouse", "MadisonCapitol", "Tower"]
    for name in names:
        for number, time in (("01", 4), ("02", 1), ("03", 16)):
            put(root / "mef_sequences" / name / f"{number}.png", frame(time))
    return {"test": 6, "unsupervised_fusion_table1": 5}


def mefb(root):
    pairs = {"Balloons": ("A.png", "B.png"), "Lighthouse": ("a.png", "B.png"), "Night": ("A.jpg", "B.JPG")}
    for scene, ends in pairs.items():
        for end, time in zip(ends, (8, 1), strict=True):
            put(root / "mefb" / "input" / scene / f"{scene}_{end}", frame(time))
    return {"test": 3, "unsupervised_fusion_table1": 2}


def drtmo(root):
    folders = {"Train": ["abandoned_80_10_60_gamma_1.4"], "Test": ["pool_agfachrome-rsx2-050CDRed", "x_80_10_0_c"]}
    for split, scenes in folders.items():
        for scene in scenes:
            for k, letter in enumerate("abcdefghi"):
                put(root / "drtmo" / split / "Bracketed_images" / scene / f"{letter}.png", frame(2.0 ** (k / 2)))
    return {"train": 1, "test": 2}


def vds(root):
    for split, scene in (("train", "t1"), ("test", "t49")):
        for stop in range(-3, 4):
            put(root / "vds" / split / "set" / scene / f"{scene}_{stop}EV_true.jpg.png", frame(2.0 ** (stop + 3)))
    put_hdr(root / "vds" / "test" / "set" / "t49" / "t49.hdr", RADIANCE * 700)
    return {"train": 1, "test": 1}


def hdreye(root):
    for number in ("C01", "C46"):
        put(root / "hdreye/images/LDR" / f"{number}_LDR.tif", frame(4))
        put_hdr(root / "hdreye/images/HDR" / f"{number}_HDR.hdr", RADIANCE * 50)
    return {"test": 2}


def hdreye_brackets(root):
    hdreye(root)
    for number in ("C01", "C46"):
        for shot in range(9):
            name = f"{number}{chr(43) if shot % 2 else chr(45)}{shot}.JPG"
            put_exif(root / "hdreye/images/Bracketed_images" / number / name, frame(2.0**shot), (2**shot, 4000))
    return {"test": 2}


def hdr_real(root):
    for number in range(2):
        put(root / "hdr_real/R_CVPR2020_jpg_training/LDR_in" / f"{number:05d}.jpg", frame(4))
        put_hdr(root / "hdr_real/R_CVPR2020_jpg_training/HDR_gt" / f"gt_{number}.hdr", RADIANCE * (number + 1))
        put(root / "hdr_real/R_CVPR2020_testing" / f"{number}" / "input.jpg", frame(4))
        put_hdr(root / "hdr_real/R_CVPR2020_testing" / f"{number}" / "gt.hdr")
    return {"train": 2, "test": 2}


def hdr_synth(root):
    for part in ("training", "testing/night"):
        put_hdr(root / "hdr_synth" / part / "a.hdr", RADIANCE * 9)
    return {"train": 1, "test": 1}


def aim2025_itm(root):
    for part in ("train", "test"):
        put(root / "aim2025_itm" / part / "LQ" / "0001.jpg", frame(1))
        (root / "aim2025_itm" / part / "GT").mkdir(parents=True)
        np.save(root / "aim2025_itm" / part / "GT" / "0001.npy", RADIANCE * 1000)
    return {"train": 1, "test": 1}


def ntire2021_hdr(root):
    coded = np.clip(RADIANCE * 4, 0, None) ** (1 / 2.24)
    ratio = 65535 / coded.max()
    for prefix in ("training/000000/", "validation/0060_"):
        names = ("0", "1", "2") if prefix.endswith("/") else ("short", "medium", "long")
        base = root / "ntire2021_hdr"
        for name, stop in zip(names, (-2, 0, 2), strict=True):
            put(base / f"{prefix}{name}.png", np.clip(coded * 2.0 ** (stop / 2.24), 0, 1))
        cv2.imwrite(str(base / f"{prefix}gt.png"), np.rint(coded * ratio)[..., ::-1].astype(np.uint16))
        np.save(base / f"{prefix}exposures.npy", np.array([-3, -1, 1]))
        np.save(base / f"{prefix}alignratio.npy", np.array(ratio))
    return {"train": 1, "test": 1}


def hdrps(root):
    put_hdr(root / "hdrps" / "BarHarborSunrise.exr", RADIANCE * 4000)
    return {"test": 1}


def hdrps_brackets(root):
    for number in range(9):
        put(root / "hdrps_brackets" / "BarHarborSunrise" / f"{9 - number}.tif", frame(2.0**number))
    return {"test": 1}


def santos2020_pairs(root):
    put(root / "santos2020_pairs" / "0001.png", frame(4))
    put_hdr(root / "santos2020_pairs" / "0001.exr", RADIANCE * 4)
    return {"test": 1}


def folder_of_brackets(root):
    for number, seconds in enumerate(((1, 30), (1, 250), (1, 4))):
        time = seconds[0] / seconds[1] * 250
        put_exif(root / "brackets" / "my café #1" / f"IMG_{number}.JPG", frame(time), seconds)
    return {"test": 1}


def folder_of_maps(root):
    put_hdr(root / "maps" / "day" / "sky.exr", RADIANCE * 30)
    put_hdr(root / "maps" / "night.hdr", RADIANCE * 0.01)
    return {"test": 2}


def folder_of_photos(root):
    put(root / "photos" / "in town" / "straße.jpg", frame(1))
    put(root / "photos" / "b.png", frame(1), bits=16)
    return {"test": 2}


WRITERS = {
    writer.__name__: writer
    for writer in (
        *(kalantari, sice, mef_sequences, mefb, drtmo, vds, hdreye, hdreye_brackets, hdr_real, hdr_synth, aim2025_itm),
        *(ntire2021_hdr, hdrps, hdrps_brackets, santos2020_pairs),
        *(folder_of_brackets, folder_of_maps, folder_of_photos),
    )
}


def make(name, root, monkeypatch, **changes):
    """Write a tiny set and let the catalogue hold its card with the counts and the size of what was written."""
    splits = WRITERS[name](root)
    monkeypatch.setenv("HDRBENCH_DATA", str(root))
    card = catalog.read_card(Path(catalog.__file__).parent / "cards" / f"{name}.yaml")
    size = {"size": list(SIZE)} if card.options.get("size") else {}
    scenes = dict(card.options.get("splits", {}))
    for split, place in scenes.items():
        if isinstance(place, dict) and name == "mefb":
            scenes[split] = {**place, "scenes": ["Balloons", "Lighthouse"]}
    options = {**card.options, **size, **({"splits": scenes} if scenes else {}), **changes}
    small = card.model_copy(update={"options": options, "splits": splits})
    monkeypatch.setattr(catalog, "card", lambda _: small)
    return small
