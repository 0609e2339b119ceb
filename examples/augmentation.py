"""Expanding the training data

Small changes leave a digit what it is: shifted, turned, skewed, of other contrast. gn.data.Augmentation draws an amount
for each image, and Trainer.fit(augment=...) shows the net other versions of its images in each epoch, while the native
step before is still running. A mirror image is a good change for photographs, but not for digits.

$ python examples/augmentation.py
"""

import numpy as np
from style import Example, panels, picture, run

import graphnn as gn

CHANGES = {
    "as they are": gn.data.Augmentation(),
    "translation": gn.data.Augmentation(translate=4),
    "rotation": gn.data.Augmentation(rotate=25),
    "skew": gn.data.Augmentation(skew=0.45),
    "contrast": gn.data.Augmentation(contrast=0.7),
    "reflection": gn.data.Augmentation(reflect=1.0),
    "all but the last": gn.data.Augmentation(translate=3, rotate=20, skew=0.3, contrast=0.5),
}


def main(quick: bool = False) -> Example:
    data = gn.data.digits(size=28, margin=4)
    images = data["x"][:10]
    figure, axes = panels(len(CHANGES), len(images), (9.6, 6.4))
    figure.get_layout_engine().set(h_pad=0, w_pad=0, hspace=0, wspace=0)
    figures = {}
    for row, (name, change) in zip(axes, CHANGES.items(), strict=True):
        changed = change(images, epoch=3)
        for panel, image in zip(row, changed, strict=True):
            picture(panel, image[0], cmap="gray_r", vmin=0, vmax=1)
        row[0].set_ylabel(name, rotation=0, ha="right", va="center", labelpad=10)
        figures[f"mean change, {name}"] = float(np.abs(changed - images).mean())
    mirrored = CHANGES["reflection"](images)
    figures["reflected images that are mirror images"] = float(np.mean(mirrored == images[..., ::-1]))
    again = CHANGES["all but the last"](images, epoch=3)
    figures["drawn again with the same seed"] = float(
        np.array_equal(again, CHANGES["all but the last"](images, epoch=3))
    )
    return Example(figure, (), figures)


if __name__ == "__main__":
    run(main)
