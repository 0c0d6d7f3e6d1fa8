"""Resume: goes on with a run that was interrupted or killed."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from impasto.errors import UsageError
from impasto.networks.weights import Download
from impasto.runs.circumstances import circumstances, warn_of_changes
from impasto.runs.directory import RunDirectory
from impasto.runs.recipe import Input
from impasto.synthesis.crafts import rebuild
from impasto.synthesis.processes import rank, world
from impasto.synthesis.run import work_in
from impasto.synthesis.session import Listener, SynthesisResult, listening, make


def resume(
    directory: Path | str,
    *,
    search: Sequence[Path | str] = (),
    progress: Listener | None = None,
    download: Download | None = None,
    preview: Path | str | None = None,
) -> tuple[SynthesisResult, Path]:
    """Go on with a run where its last checkpoint is, to the picture that it would have made, bit for bit.

    Args:
        directory: The run's directory.
        search: Folders in which to look for inputs that have moved; they are known by their content.
        progress: Called with every step.
        download: Called with (bytes done, bytes in all) while weights are downloaded.
        preview: A picture file, rewritten while the work goes on.

    Returns:
        The result, and where it was written.

    Raises:
        UsageError: No run, one that is finished, inputs or weights that have changed, another process at work in it.
    """
    run = RunDirectory.open(directory)
    with ExitStack() as held, listening(progress, download) as (progress, download):
        if rank() == 0:
            held.enter_context(run.lock())
        if run.status == "finished":
            raise UsageError(f"the run {directory} is finished: its picture is {run.manifest['picture']}")
        inputs = [Input.model_validate(one) for one in run.manifest["inputs"]]
        craft = rebuild(run.verb, run.options, inputs, name=run.path, search=search, download=download)
        for name, sha256 in run.manifest["networks"].items():
            if name in craft.networks and craft.networks[name].sha256 != sha256:
                raise UsageError(f"the weights of {name} are not those that the run {directory} began with")
        warn_of_changes(run.manifest["made_with"], circumstances(craft.device, world()), "picture")
        if rank() > 0:
            return make(craft, progress=progress, run=run), Path(run.manifest["picture"])
        return work_in(run, craft, progress, preview), Path(run.manifest["picture"])
