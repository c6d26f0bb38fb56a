"""An image of several classes counts for each of them."""

from tests.conftest import Cli, report
from tests.data.trees import write

CAT, DOG, OWL = (f"{number} 0.5 0.5 0.2 0.2\n" for number in range(3))


def test_the_last_image_of_a_class_stays_but_not_of_a_combination(tmp_path, datadiet: Cli):
    files = {f"images/train/{i}.jpg": str(i) for i in range(6)} | {f"labels/train/{i}.txt": CAT for i in range(6)}
    files |= {"images/train/both.jpg": "B", "labels/train/both.txt": CAT + DOG, "images/train/dog.jpg": "D"}
    files |= {"labels/train/dog.txt": DOG, "images/train/owl.jpg": "O", "labels/train/owl.txt": OWL}
    files |= {"images/val/both.jpg": "B", "labels/val/both.txt": CAT + DOG, "images/val/owl.jpg": "O"}
    root = write(tmp_path / "in", files | {"data.yaml": "train: images/train\nnames: [cat, dog, owl]\n"})
    ran = datadiet("dedup", root, tmp_path / "out", "--method", "exact", "--list", "dropped")
    assert (ran.code, ran.ids) == (0, ["images/train/both.jpg"])
    told = report(tmp_path / "out")
    assert told["input"]["classes"] == {"cat": 8, "dog": 3, "no objects": 1, "owl": 1}
    assert told["output"]["classes"] == {"cat": 7, "dog": 2, "no objects": 1, "owl": 1}
    detail = next(verdict["detail"] for verdict in told["verdicts"] if verdict["id"] == "images/train/owl.jpg")
    assert detail.endswith("kept: the last sample of class owl")
