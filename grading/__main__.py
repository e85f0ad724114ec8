"""`python -m grading` is `course`."""

from grading.cli import main

if __name__ == "__main__":
    main()
