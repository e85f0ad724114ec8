"""Write data/digits.safetensors: the handwritten digits that scikit-learn bundles, as bytes.

    python data/recipes/digits.py

The only recipe that trains nothing. Source: E. Alpaydin and C. Kaynak 1998, Optical Recognition of
Handwritten Digits, UCI Machine Learning Repository, https://doi.org/10.24432/C50P49, CC BY 4.0.
"""

import safetensors.torch
import torch
from common import DATA, enter
from sklearn.datasets import load_digits


def main() -> None:
    found = load_digits()
    tensors = {
        "scans": torch.from_numpy(found.images).to(torch.uint8),
        "digits": torch.from_numpy(found.target).to(torch.uint8),
    }
    path = DATA / "digits.safetensors"
    safetensors.torch.save_file(tensors, path)
    path.chmod(0o644)
    entry = {
        "what": "1,797 handwritten digits of 8 x 8 pixels, ink from 0 to 16",
        "licence": "CC-BY-4.0",
        "source": "E. Alpaydin and C. Kaynak 1998, Optical Recognition of Handwritten Digits, UCI Machine "
        "Learning Repository, doi.org/10.24432/C50P49; the 1,797 of scikit-learn's load_digits",
        "recipe": "python data/recipes/digits.py",
    }
    enter(DATA, "digits.safetensors", entry)


if __name__ == "__main__":
    main()
