"""The boxed kernel under a name, for anybody's papermill, nbclient or nbgrader.

`course kernel --week 02` writes a kernel spec that names this module's provisioner. From then on

    papermill submission.ipynb out.ipynb -k course-week02
    nbgrader autograde week02 --ExecutePreprocessor.kernel_name=course-week02

run a learner's cells in a box, forked from a warm parent where this machine lets one: one parent for each
process that drives kernels. What such a program does with the outputs is its own affair; no check of ours is
asked, and no mark is given.
"""

import json
import shutil
import sys
import tempfile
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.provisioning.factory import KernelProvisionerFactory
from traitlets import Unicode

from grading.box import new_share
from grading.errors import SandboxError
from grading.kernel import IN_THE_BOX, BoxedProvisioner
from grading.parent import warm_parent, why_cold
from grading.sandbox import check
from grading.weeks import Week

PROVISIONER = "course-box"  # the entry point's name in pyproject.toml
ARGUMENTS = ("--HistoryManager.enabled=False", "--quiet")


class NamedProvisioner(BoxedProvisioner):
    """Starts boxed kernels for a program that knows nothing of boxes.

    Such a program would connect over TCP, and a box has no network: the sockets are files here, in a folder
    that both sides see.
    """

    edition = Unicode(config=True)
    share: Path | None = None

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """Take the sockets into a folder of the box's, before jupyter_client writes them down.

        Raises:
            SandboxError: the sandbox does not hold here, or the week's edition is gone.
        """
        manager = self.parent
        assert manager is not None
        edition = Path(self.edition)
        if not edition.is_dir():
            raise SandboxError(
                f"the kernel {manager.kernel_name} is made for {edition}, which is not there any more; "
                "run `course kernel` again."
            )
        self.rung = check(self.rung)
        self.box = {**self.box, "edition": edition}
        if self.imports is not None and why_cold(self.rung, edition, self.imports) is not None:
            self.imports = None
        warm = None if self.imports is None else warm_parent(self.rung, edition, self.imports)
        self.share = new_share() if warm is None else warm.new_folder()
        manager.transport = "ipc"
        manager.cache_ports = False
        manager.connection_file = str(self.share / "k.json")
        manager.ip = str(self.share / "k-ipc")
        for number, channel in enumerate(("shell", "iopub", "stdin", "hb", "control"), start=1):
            setattr(manager, f"{channel}_port", number)
        return await super().pre_launch(**kwargs)

    async def cleanup(self, restart: bool = False) -> None:
        """Remove the folder; the kernel has ended."""
        await self.kill()
        await super().cleanup(restart)
        if self.share is not None:
            shutil.rmtree(self.share, ignore_errors=True)


def install(week: Week, edition: Path, prefix: Path | None = None, rung: str = "best") -> str:
    """Write a week's kernel spec where Jupyter looks for them. Returns the kernel's name.

    Args:
        edition: the folder with the learner's course_lib.
        prefix: an environment's folder; this interpreter's own when None.
        rung: the sandbox in which its kernels will run.
    """
    name = f"course-week{week.number:02d}"
    config = {
        "rung": rung,
        "edition": str(edition.absolute()),
        "box": {name: getattr(week.limits, name) for name in IN_THE_BOX},
        "imports": list(week.imports),
    }
    spec = {
        "argv": ["ipykernel_launcher", *ARGUMENTS, "-f", "{connection_file}"],
        "display_name": f"{week.title}, in a box",
        "language": "python",
        "interrupt_mode": "message",
        "metadata": {"kernel_provisioner": {"provisioner_name": PROVISIONER, "config": config}},
    }
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "kernel.json").write_text(json.dumps(spec, indent=2) + "\n", encoding="utf-8")
        KernelSpecManager().install_kernel_spec(folder, name, prefix=str(prefix or sys.prefix))
    return name


def is_registered() -> bool:
    """Whether programs that are not ours find the provisioner: they do once this project is installed."""
    return bool(entry_points(group=KernelProvisionerFactory.GROUP_NAME, name=PROVISIONER))
