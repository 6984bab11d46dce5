"""Drawn images and data sets."""

import io
import json
import random

from PIL import Image, ImageDraw

COLOURS = {"red": (220, 40, 30), "green": (40, 170, 60), "blue": (40, 70, 210), "yellow": (240, 210, 40)}
SHAPES = ("circle", "square", "triangle")


def drawn(index, form="PNG"):
    """Return the bytes of an image; another index gives another image."""
    file = io.BytesIO()
    _image(list(COLOURS)[index % 4], SHAPES[index % 3], index).save(file, form)
    return file.getvalue()


def draw(path, colour, shape, seed):
    """Draw a shape of a colour on a pale ground."""
    _image(colour, shape, seed).save(path)


def _image(colour, shape, seed):
    generator = random.Random(seed)
    ground = tuple(generator.randrange(200, 256) for _ in range(3))
    image = Image.new("RGB", (160, 120), ground)
    pen = ImageDraw.Draw(image)
    x, y, size = generator.randrange(10, 70), generator.randrange(10, 40), generator.randrange(50, 70)
    box = (x, y, x + size, y + size)
    if shape == "circle":
        pen.ellipse(box, fill=COLOURS[colour])
    elif shape == "square":
        pen.rectangle(box, fill=COLOURS[colour])
    else:
        pen.polygon([(x, y + size), (x + size, y + size), (x + size // 2, y)], fill=COLOURS[colour])
    return image


def draw_each(folder, *names):
    """Draw an image for each name, of another colour and shape than the one before; return the folder."""
    for index, name in enumerate(names):
        (folder / name).parent.mkdir(exist_ok=True)
        draw(folder / name, list(COLOURS)[index % 4], SHAPES[index % 3], index)
    return folder


def draw_dataset(folder, count, first_seed=0):
    """Draw ``count`` images with two captions each and an official split; return the folder."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    rows = []
    for index in range(first_seed, first_seed + count):
        colour, shape = list(COLOURS)[index % 4], SHAPES[index % 3]
        name = f"images/{index:03}.png"
        draw(folder / name, colour, shape, index)
        split = ("dev", "test", "train", "train", "train")[index % 5]
        captions = [f"A {colour} {shape} on a pale ground.", f"There is a {colour} {shape}."]
        rows.append({"image": name, "captions": captions, "split": split})
    with (folder / "captions.jsonl").open("a") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    return folder
