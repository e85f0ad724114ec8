"""Right: two views and two transpositions, as in SmolVLM."""


def pixel_shuffle(visual, grid, factor):
    rows, columns = grid
    if rows * columns != visual.shape[1]:
        raise ValueError(f"{rows} x {columns} patches are not {visual.shape[1]} tokens")
    if rows % factor or columns % factor:
        raise ValueError(f"factor {factor} does not divide {rows} x {columns} patches")
    b, n, d = visual.shape
    x = visual.view(b, rows, columns // factor, d * factor)
    x = x.permute(0, 2, 1, 3).reshape(b, columns // factor, rows // factor, d * factor**2)
    return x.permute(0, 2, 1, 3).reshape(b, n // factor**2, d * factor**2)
