"""``CaptionJob``: a job over many images. Whatever ``capgen caption`` does, a program can do with it."""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from capgen.batch import checks
from capgen.batch.engines import Engine
from capgen.batch.engines.local import LocalEngine
from capgen.batch.images import ImageCaptioning
from capgen.batch.plan import PlannedImage, check_names, check_targets, target_hash
from capgen.batch.request import Inputs, OutputPolicy, Outputs
from capgen.batch.shards.folder import ShardFolder
from capgen.batch.shards.plan import PlannedShard, ShardPlan
from capgen.batch.work import CaptionWork, PortableCaptioner, ShardWork
from capgen.captioner.captioner import Captioner
from capgen.captioner.request import CaptionRequest
from capgen.captioner.results import Result
from capgen.errors import Status, UsageError
from capgen.inputs.listing import Listing
from capgen.inputs.passed_over import PassedOverLog
from capgen.inputs.selection import texts
from capgen.inputs.watch import Arrivals
from capgen.outputs.choices import Existing
from capgen.outputs.destination import Destination
from capgen.outputs.manifest import Manifest
from capgen.outputs.per_image import PerImageSink
from capgen.outputs.policy import OverwriteGuard
from capgen.outputs.result_log import ResultLog
from capgen.storage.locations import located

SHARD_SIZE = 10_000
"""The usual number of images in a numbered shard."""


@dataclass
class Progress:
    """How far a job has come.

    Attributes:
        done: The images, or of a job that writes shards the shards, that are done.
        total: How many there are; 0 if that is not known.
    """

    done: int = 0
    total: int = 0


class CaptionJob:
    """Captions images and writes their captions.

    ``run`` may be called again: it goes on with what is there. A job may be made and checked, or planned, without being run.

    Args:
        inputs: Which images are captioned; or their paths, or one path.
        captioner: The captioner; by default the one that ``capgen models default`` names.
        request: What captions are asked for; the captioner's own way by default.
        outputs: Where the captions go. By default nowhere: ``run`` yields them.
        engine: Where the work is done; by default in this process.
        policy: What becomes of captions before they are written, and of those that exist.
        fail_fast: End after the first image that fails; a shard is finished first.

    Attributes:
        progress: How far ``run`` has come.
        passed_over: What is passed over in the folders in which images are looked for.
    """

    def __init__(
        self,
        inputs: Inputs | Sequence[str | Path] | str | Path,
        captioner: Captioner | None = None,
        request: CaptionRequest | None = None,
        outputs: Outputs | None = None,
        engine: Engine | None = None,
        *,
        policy: OutputPolicy | None = None,
        fail_fast: bool = False,
    ) -> None:
        self._inputs = inputs if isinstance(inputs, Inputs) else Inputs(paths=texts(inputs))
        self._request = request or CaptionRequest()
        self._outputs = outputs or Outputs()
        self._engine: Engine = engine or LocalEngine()
        self._policy = policy or OutputPolicy()
        self._fail_fast = fail_fast
        self._captioner = PortableCaptioner(captioner or Captioner.load())
        self.progress = Progress()
        self.passed_over = PassedOverLog()
        self._is_checked = False
        self._shared: frozenset[int] = frozenset()

    @property
    def several(self) -> bool:
        """Whether the job is over more than one image, or could be."""
        return self.may_be_several or self._images.archives or len(self._images) != 1

    @property
    def found_nothing(self) -> bool:
        """Whether there is something where images are looked for, but no image."""
        return not len(self._images) and len(self.passed_over) > 0 and self._inputs.selection.part is None

    @property
    def notice(self) -> str:
        """What a person should know of how the engine's workers were reached, once they are; usually empty."""
        return self._engine.notice

    @property
    def may_be_several(self) -> bool:
        """Whether the job can be over more than one image, as far as is known before images are looked for."""
        return self._outputs.shards is not None or self._inputs.may_be_several

    @property
    def outputs(self) -> Outputs:
        """Where the captions go."""
        return self._outputs

    @property
    def writes_shards(self) -> bool:
        """Whether captions are written in shards."""
        return self._outputs.shards is not None

    def check(self) -> None:
        """Make sure that the job can be done, and that nothing that it writes replaces another output or an image.

        No output is opened.

        Raises:
            UsageError: The job cannot be done; the message says what does not fit.
        """
        if self._is_checked:
            return
        self._captioner.captioner.check(self._request)
        if self._outputs.shards is not None:
            self._check_shards()
        else:
            self._check_images()
        self._is_checked = True

    def plan(self) -> Iterator[PlannedImage | PlannedShard]:
        """Tell what would become of each image, or of each shard. Nothing is written.

        Raises:
            UsageError: The job cannot be done.
            StorageError: An output cannot be read.
        """
        self.check()
        if self.shards is not None:
            yield from self.shards.shards()
            return
        with self._captioning(replace(self._outputs, standard_output=False), several=True, read_only=True) as captioning:
            yield from captioning.plan(self._inputs.with_data(self._images))

    def run(self) -> Generator[Result, None, None]:
        """Caption the images that need it, and write their captions.

        Close the iterator if it is not read to its end, so that what was begun is finished: ``contextlib.closing``.

        Returns:
            An iterator over what became of each image, in order.

        Raises:
            UsageError: The job cannot be done. All other errors are raised by the iterator.
            StorageError: A file for all images, or a shard, cannot be written.
            EngineError: The engine cannot be reached, or cannot go on.
        """
        self.check()
        if self.shards is not None:
            self.progress = Progress(total=len(self.shards))
            return self._run_shards(self.shards)
        self.progress = Progress(total=0 if self._images.archives else len(self._images))
        return self._run_images()

    def watch(self) -> Generator[Result, None, None]:
        """Caption images as they arrive, for ever.

        Returns:
            An iterator over what became of each image.

        Raises:
            UsageError: What is to be watched does not exist, or cannot be watched.
        """
        self._check_watch()
        return self._watch()

    def _run_images(self) -> Generator[Result, None, None]:
        with self._captioning(self._outputs, several=self.several) as captioning, self._engine, self._reporting() as report:
            for result in captioning.run(self._inputs.with_data(self._images)):
                self.progress.done += 1
                report(result)
                yield result
                if self._fail_fast and result.failed:
                    return

    def _run_shards(self, plan: ShardPlan) -> Generator[Result, None, None]:
        with self._engine if len(plan) else LocalEngine() as engine, self._reporting() as report:
            for results in engine.map(ShardWork(self._captioner, self._shard_folder), plan, block=1):
                failed = False
                for result in results:
                    failed = failed or result.failed
                    report(result)
                    yield result
                self.progress.done += 1
                if self._fail_fast and failed:
                    return

    def _watch(self) -> Generator[Result, None, None]:
        arrivals = Arrivals(lambda: self._inputs.find(lenient=True))
        opened = self._captioning(self._outputs, several=True, arriving=True)
        with opened as captioning, self._engine, self._reporting() as report:
            for found in arrivals.for_ever():
                for destination in self._destinations if found else ():
                    destination.survey(found)  # sidecars may have arrived with them
                for result in captioning.run(found):
                    if isinstance(result.path, Path) and result.path in result.written:
                        arrivals.settle(result.path)  # an image that its caption was written into must not arrive again
                    report(result)
                    yield result
                    if self._fail_fast and result.failed:
                        return

    @property
    def skipped_before(self) -> int:
        """How many images are in shards that are finished already."""
        return self.shards.skipped if self.shards is not None else 0

    @property
    def finished_before(self) -> tuple[int, int]:
        """How many archives have a finished shard already, and the sum of those and of all shards that are left to write."""
        if self.shards is None:
            return 0, 0
        finished = len(self.shards.finished)
        return finished, finished + len(self.shards)

    @cached_property
    def shards(self) -> ShardPlan | None:
        """The shards of a job that writes shards.

        Raises:
            UsageError: What is in the folder does not fit the job.
        """
        if self._outputs.shards is None:
            return None
        return ShardPlan(
            self._images,
            self._shard_folder,
            self._outputs.shard_size or SHARD_SIZE,
            overwrite=self._policy.existing is Existing.OVERWRITE,
            part=self._inputs.selection.part or (1, 1),
        )

    @cached_property
    def _all_images(self) -> Listing:
        """The images of all parts: two parts must not want one file either."""
        return Listing(self._inputs.find(self.passed_over.add, part=None))

    @cached_property
    def _images(self) -> Listing:
        selection = self._inputs.selection
        if self._outputs.shards is not None:
            return Listing(self._inputs.find(self.passed_over.add))
        return Listing(filter(selection.holds, self._all_images)) if selection.part else self._all_images

    @cached_property
    def _destinations(self) -> list[Destination]:
        return self._outputs.destinations()

    @cached_property
    def _shard_folder(self) -> ShardFolder:
        assert self._outputs.shards is not None
        form = self._outputs.format or "jsonl"
        return ShardFolder.of(self._captioner.captioner, self._outputs.shards, form, self._request, self._policy)

    @property
    def _files(self) -> list[Path]:
        return [path for path in (self._outputs.file, self._outputs.report) if path is not None]

    @contextmanager
    def _captioning(
        self, outputs: Outputs, *, several: bool, read_only: bool = False, arriving: bool = False
    ) -> Iterator[ImageCaptioning]:
        """Open the outputs, and close them in the end."""
        with ExitStack() as stack:
            manifest = Manifest()
            stack.callback(manifest.close)
            existing = self._policy.existing
            # A file that arrived in parts was captioned before it was whole; on stdin, every image is called the same.
            renews = arriving or (self._inputs.standard_input is not None and not self.several)
            if renews and existing is Existing.SKIP:
                existing = Existing.OUTDATED
            guard = OverwriteGuard(manifest, existing, force=self._policy.force)
            contested = (lambda target: True) if arriving else self._is_shared
            per_image = [PerImageSink(destination, guard, contested, again=arriving) for destination in self._destinations]
            for sink in per_image:
                stack.callback(sink.close)
            form, stream = outputs.stream_format(several=several), None
            if form is not None:
                stream = (
                    form.standard_output() if outputs.file is None else form.open(outputs.file, guard, read_only=read_only)
                )
                stack.callback(stream.close)
            work = CaptionWork(self._captioner, self._request)
            yield ImageCaptioning(self._engine, work, self._policy, per_image, stream)

    @contextmanager
    def _reporting(self) -> Iterator[Callable[[Result], None]]:
        """Open the report, if there is one, and return what takes a result."""
        if self._outputs.report is None:
            yield lambda result: None
            return
        with ResultLog(self._outputs.report) as log:
            yield log.write
            for location, kind in self.passed_over:
                log.write(Result(location, Status.PASSED_OVER, reason=kind))

    def _is_shared(self, target: Path) -> bool:
        """Tell whether several images want a file."""
        return bool(self._shared) and target_hash(target) in self._shared

    def _check_images(self) -> None:
        checks.check_standard_input(self._inputs, self._outputs)
        form = self._outputs.stream_format(several=True)
        if self._all_images.elsewhere is not None:
            checks.check_locations([self._all_images.elsewhere], self._destinations)
        if self._all_images.archives and not self._engine.in_this_process:
            raise UsageError("with the engine ray archives are captioned into shards: give `output` a folder, ending in /")
        for destination in self._destinations:
            destination.survey(self._all_images.one_of_each_folder())
        self._shared = check_targets(self._all_images, self._destinations, self._files)
        if form is not None and form.name_of is not None:
            check_names(self._all_images, self._outputs.file or Path("the output"), form.name_of)

    def _check_shards(self) -> None:
        checks.check_standard_input(self._inputs, self._outputs)
        checks.check_shard_outputs(self._outputs, self._policy)
        if self._outputs.report is not None:
            check_targets(self._images, (), [self._outputs.report])
        _ = self.shards  # reads what is in the folder

    def _check_watch(self) -> None:
        self._captioner.captioner.check(self._request)
        checks.check_watched(self._inputs, self._outputs)
        self._outputs.stream_format(several=True)
        checks.check_locations(map(located, (*self._inputs.paths, *self._inputs.listed)), self._destinations)
        for destination in self._destinations:
            destination.survey(self._inputs.find(lenient=True))
        check_targets(Listing(()), self._destinations, self._files)
