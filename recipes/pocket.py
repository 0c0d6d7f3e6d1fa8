"""Train pocket, the embedded network: a student of VGG-19 and SqueezeNet that can be painted with.

    uv run python recipes/pocket.py --work /tmp/pocket          # resumes where a kill left it

A student that merely regresses its teacher's activations on photographs paints badly: optimised pixels leave the
photographs behind and find what the student does not see. So two thirds of what it is shown here are not plain
photographs: crops perturbed in colour, noise and sharpness, and crops that are being painted *against the student
itself* while it learns (a pool of pictures, each some steps into its own style transfer), on which the teacher says
what the student should have seen.
"""

import argparse
import json
import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from paintings import KINDS, paint
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from impasto import networks
from impasto.networks import pocket

CROP = 96
STEPS = 3600
FINISHING = 800  # further steps, at a lower rate and judged as painting will be
FRESH, PAINTED = 6, 4  # crops of a step that come from pictures, and from the pool
FINISHING_FRESH, FINISHING_PAINTED = 4, 6
POOL = 48
LEARNING_RATE, FINISHING_RATE = 2e-3, 5e-4

# Which layers of which teacher each tap of the student answers for. Half-resolution taps also answer for the
# full-resolution second convolution, averaged down, because the student has no such layer of its own.
LESSONS = {
    "relu1_1": ["vgg:relu1_1"],
    "relu2_1": ["vgg:relu1_2", "vgg:relu2_1"],
    "relu2_2": ["vgg:relu2_1", "vgg:relu2_2"],
    "relu3_1": ["vgg:relu2_2", "vgg:relu3_1"],
    "relu3_2": ["vgg:relu3_1", "vgg:relu3_2", "vgg:relu3_3"],
    "relu4_1": ["vgg:relu3_3", "squeeze:features.5", "squeeze:features.7", "squeeze:features.10"],
}


@dataclass
class Teachers:
    """VGG-19 to relu3_3 and SqueezeNet, with the mean square of each channel on perturbed crops."""

    vgg: networks.Taps
    squeeze: networks.Taps
    power: dict[str, Tensor]

    @torch.no_grad()
    def __call__(self, crops: Tensor) -> dict[str, Tensor]:
        """Activations by ``teacher:tap``, on the student's grid of positions."""
        with torch.autocast("cpu", torch.bfloat16):  # three digits are plenty for a target, at half the time
            found = {f"vgg:{name}": f.float() for name, f in self.vgg(crops).items()}
        # SqueezeNet's first convolution has no padding and its poolings overlap: position o at stride 8 is centred
        # at 8·o + 9, the student's at 8·o + 3.5. Six more pixels at the left and above bring them together.
        found |= {f"squeeze:{name}": f for name, f in self.squeeze(F.pad(crops, (6, 10, 6, 10), "reflect")).items()}
        return found


def main() -> None:
    """Train, and write pocket.safetensors."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--shared", type=Path, default=Path("../shared"), help="weights/ and data/ to learn from")
    parser.add_argument("--work", type=Path, default=Path("runs/pocket"), help="checkpoints and generated paintings")
    parser.add_argument("--out", type=Path, default=pocket.packaged())
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--finishing", type=int, default=FINISHING)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)

    chance = torch.Generator().manual_seed(options.seed)
    pictures = photographs(options.shared / "data") + generated(options.work / "paintings")
    print(f"{len(pictures)} pictures", flush=True)
    torch.manual_seed(options.seed)
    student = pocket.architecture()
    student.to(memory_format=torch.channels_last)
    teachers = teach(options.shared / "weights", pictures, chance)
    heads = nn.ModuleDict(
        {
            f"{tap}->{lesson}".replace(".", "_"): nn.Conv2d(width(student, tap), teachers.power[lesson].numel(), 1)
            for tap, lessons in LESSONS.items()
            for lesson in lessons
        }
    )
    parameters = [*student.parameters(), *heads.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=LEARNING_RATE, betas=(0.9, 0.99))
    pool = Pool.empty()
    first = resume(options.work, student, heads, optimizer, pool, chance)
    see = networks.Taps(pocket.as_network(student), LESSONS)

    began = time.monotonic()
    whole = options.steps + options.finishing
    for step in range(first, whole):
        finishing = step >= options.steps
        if finishing:
            rate = FINISHING_RATE * schedule((step - options.steps) / options.finishing)
        else:
            rate = LEARNING_RATE * schedule(step / options.steps)
        for group in optimizer.param_groups:
            group["lr"] = rate
        fresh = perturb(crops(pictures, FINISHING_FRESH if finishing else FRESH, chance), chance)
        if step >= 0.08 * options.steps:  # before, the student is too ignorant for its mistakes to be worth a look
            painted = pool.paint(see, pictures, FINISHING_PAINTED if finishing else PAINTED, chance)
        else:
            painted = fresh[:0]
        batch = torch.cat([fresh, painted])
        targets = teachers(batch)
        features = see(batch)
        terms = {}
        for tap, lessons in LESSONS.items():
            for lesson in lessons:
                head = heads[f"{tap}->{lesson}".replace(".", "_")]
                terms[lesson + "<" + tap] = lesson_loss(
                    head(features[tap]), targets[lesson], teachers.power[lesson], finishing
                )
        loss = sum(terms.values())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 5.0)
        optimizer.step()
        if step % 25 == 0 or step == whole - 1:
            seconds = (time.monotonic() - began) / (step - first + 1)
            line = {"step": step, "loss": round(float(loss.detach()), 4), "seconds_a_step": round(seconds, 3)}
            line |= {name: round(float(value.detach()), 4) for name, value in terms.items()}
            with (options.work / "metrics.jsonl").open("a") as log:
                log.write(json.dumps(line) + "\n")
            print(f"{step}/{whole} loss {float(loss.detach()):.4f} {seconds:.2f} s/step", flush=True)
        if step % 100 == 99 or step == whole - 1:
            keep(options.work, step + 1, student, heads, optimizer, pool, chance)
    export(student, heads, teachers, options)


def photographs(data: Path) -> list[Tensor]:
    """The training photographs, as uint8 (3, h, w); nothing of ``contents`` or ``paintings`` is among them."""
    paths = sorted((data / "photos").glob("*")) + sorted((data / "imagenet-1k-samples").glob("*.jpg"))
    return [
        torch.from_numpy(np.asarray(Image.open(p).convert("RGB")).copy()).permute(2, 0, 1) for p in paths if p.is_file()
    ]


def generated(folder: Path, each: int = 18, size: int = 320) -> list[Tensor]:
    """Paintings by the project's own generator, made once."""
    folder.mkdir(exist_ok=True)
    pictures = []
    for kind in KINDS:
        for seed in range(1000, 1000 + each):
            path = folder / f"{kind}-{seed}.png"
            if not path.exists():
                Image.fromarray(paint(kind, seed, (size, size))).save(path)
            pictures.append(torch.from_numpy(np.asarray(Image.open(path).convert("RGB")).copy()).permute(2, 0, 1))
    return pictures


def crops(pictures: list[Tensor], n: int, chance: torch.Generator) -> Tensor:
    """``n`` crops (n, 3, CROP, CROP) of random pictures at random zoom: the pyramid shows pocket every scale."""
    out = []
    # photographs of 512 px, small ones, and paintings get equal shares whatever their number
    for _ in range(n):
        share = int(torch.randint(3, (), generator=chance))
        low, high = ((0, 209), (209, 1209), (1209, len(pictures)))[share]
        picture = pictures[int(torch.randint(low, high, (), generator=chance))]
        shortest = min(picture.shape[1:])
        most = min(4.0, shortest / CROP)
        zoom = math.exp(float(torch.rand((), generator=chance)) * math.log(most))
        side = min(shortest, round(CROP * zoom))
        top = int(torch.randint(picture.shape[1] - side + 1, (), generator=chance))
        left = int(torch.randint(picture.shape[2] - side + 1, (), generator=chance))
        crop = picture[None, :, top : top + side, left : left + side].float() / 255
        if side != CROP:
            crop = F.interpolate(crop, (CROP, CROP), mode="bicubic", antialias=True, align_corners=False)
        if torch.rand((), generator=chance) < 0.5:
            crop = crop.flip(-1)
        out.append(crop.clamp(0, 1))
    return torch.cat(out)


def perturb(batch: Tensor, chance: torch.Generator) -> Tensor:
    """Colour affine maps, gray and chromatic noise at three scales, sharpening: each crop gets some of them."""
    n = len(batch)

    def draw(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=chance)

    def some(p: float) -> Tensor:
        return (draw(n, 1, 1, 1) < p).float()

    mix = torch.eye(3) + some(0.5) * 0.35 * torch.randn(n, 1, 3, 3, generator=chance).view(n, 1, 3, 3)
    shift = some(0.5) * 0.12 * torch.randn(n, 3, 1, 1, generator=chance)
    mean = batch.mean(dim=(2, 3), keepdim=True)
    batch = torch.einsum("nij,njhw->nihw", mix[:, 0], batch - mean) + mean + shift
    for scale in (1, 2, 4):
        for channels, p in ((1, 0.25), (3, 0.35)):
            noise = torch.randn(n, channels, CROP // scale, CROP // scale, generator=chance)
            if scale > 1:
                noise = F.interpolate(noise, size=(CROP, CROP), mode="bilinear", align_corners=False)
            batch = batch + some(p) * 0.18 * draw(n, 1, 1, 1).square() * noise
    blurred = F.avg_pool2d(F.pad(batch, (1, 1, 1, 1), "replicate"), 3, 1)
    batch = batch + some(0.3) * 2.5 * draw(n, 1, 1, 1) * (batch - blurred)
    return batch.clamp(-0.1, 1.1)


class Pool:
    """Crops on their way through a style transfer against the student as it stands: its blind spots, made visible."""

    def __init__(self, state: dict[str, Tensor]) -> None:
        self.state = state

    @classmethod
    def empty(cls) -> "Pool":
        """Every place free: a place is filled when it is first used."""
        picture = (POOL, 3, CROP, CROP)
        names = ("image", "content", "style", "m", "v")
        return cls({name: torch.zeros(picture) for name in names} | {"age": torch.full((POOL,), -1.0)})

    def paint(
        self, see: networks.Taps, pictures: list[Tensor], n: int, chance: torch.Generator, steps: int = 3
    ) -> Tensor:
        """Take ``n`` crops a few Adam steps further down a Gram loss, and return them."""
        pool = self.state
        chosen = torch.randperm(POOL, generator=chance)[:n]
        retired = (pool["age"][chosen] < 0) | (torch.rand(n, generator=chance) < 0.05)
        if renewed := chosen[retired].tolist():
            content, style = crops(pictures, len(renewed), chance), crops(pictures, len(renewed), chance)
            noise = torch.randn(content.shape, generator=chance) * 0.3 + 0.5
            from_noise = (torch.rand(len(renewed), 1, 1, 1, generator=chance) < 0.2).float()
            pool["content"][renewed], pool["style"][renewed] = content, style
            pool["image"][renewed] = from_noise * noise.clamp(0, 1) + (1 - from_noise) * content
            for name in ("m", "v", "age"):
                pool[name][renewed] = 0
        with torch.no_grad():
            wanted = grams(see(pool["style"][chosen]))
            kept = see(pool["content"][chosen])["relu3_2"]
        image = pool["image"][chosen]
        for _ in range(steps):
            image.requires_grad_(True)
            features = see(image)
            loss = sum(
                ((g - wanted[t]).square().sum((1, 2)) / wanted[t].square().sum((1, 2))).sum()
                for t, g in grams(features).items()
            )
            loss = loss + 0.05 * ((features["relu3_2"] - kept).square().mean() / kept.square().mean()) * n
            (gradient,) = torch.autograd.grad(loss, image)
            with torch.no_grad():
                pool["age"][chosen] += 1
                age = pool["age"][chosen].view(-1, 1, 1, 1)
                pool["m"][chosen] = 0.9 * pool["m"][chosen] + 0.1 * gradient
                pool["v"][chosen] = 0.98 * pool["v"][chosen] + 0.02 * gradient.square()
                m, v = pool["m"][chosen] / (1 - 0.9**age), pool["v"][chosen] / (1 - 0.98**age)
                image = (image - 0.03 * m / (v.sqrt() + 1e-12)).clamp(0, 1)
        pool["image"][chosen] = image
        return image


def grams(features: dict[str, Tensor]) -> dict[str, Tensor]:
    """Gram matrices (B, C, C) by tap."""
    flat = {tap: f.flatten(2) for tap, f in features.items()}
    return {tap: f @ f.transpose(1, 2) / f.shape[2] for tap, f in flat.items()}


def lesson_loss(guess: Tensor, target: Tensor, power: Tensor, finishing: bool) -> Tensor:
    """Squared error over the channel's power, and the same for Gram matrices: what painting will compare.

    Dividing by the channels' own size rather than by one common figure keeps quiet channels in the lesson. A style
    loss does not divide, though: while finishing, the Gram matrix in the teacher's own units counts too.
    """
    if target.shape[-1] > guess.shape[-1]:
        target = F.adaptive_avg_pool2d(target, guess.shape[-2:])
    target = target[..., : guess.shape[-2], : guess.shape[-1]]
    root = power.clamp_min(1e-8).sqrt().view(1, -1, 1, 1)
    target = target / root  # the head's output is in this unit already
    plain = (guess - target).square().mean()
    gram_guess, gram_target = grams({"": guess})[""], grams({"": target})[""]
    size = gram_target.square().mean((1, 2), keepdim=True)
    # bounded below, so that a nearly black crop does not outweigh the others
    relative = ((gram_guess - gram_target).square() / (size + 0.02)).mean()
    loss = plain + 0.3 * relative
    if finishing:
        raw_guess, raw_target = (g * root.view(1, -1, 1) * root.view(1, 1, -1) for g in (gram_guess, gram_target))
        distance = (raw_guess - raw_target).square().sum((1, 2))
        size = raw_target.square().sum((1, 2))
        loss = loss + (distance / (size + 0.1 * size.mean()) + 1e-6).sqrt().mean()  # a root: dark crops are outliers
    return loss


def teach(weights: Path, pictures: list[Tensor], chance: torch.Generator) -> Teachers:
    """The teachers, with each channel's mean square on perturbed crops."""
    wanted = {lesson.split(":")[0]: [] for lessons in LESSONS.values() for lesson in lessons}
    for lesson in dict.fromkeys(lesson for lessons in LESSONS.values() for lesson in lessons):
        teacher, tap = lesson.split(":")
        wanted[teacher].append(tap)
    vgg = networks.load("vgg19", weights=weights / "vgg19_to_conv3_4.safetensors")
    squeeze = networks.load("squeezenet1_0", weights=weights / "squeezenet1_0.safetensors")
    teachers = Teachers(networks.Taps(vgg, wanted["vgg"]), networks.Taps(squeeze, wanted["squeeze"]), {})
    sums: dict[str, Tensor] = {}
    for _ in range(8):
        for lesson, f in teachers(perturb(crops(pictures, 16, chance), chance)).items():
            sums[lesson] = sums.get(lesson, 0) + f.var(dim=(0, 2, 3)) / 8
    teachers.power = sums
    return teachers


def width(student: nn.Module, tap: str) -> int:
    """Channels of a tap."""
    network = pocket.as_network(student)
    index = int(network.aliases[tap].split(".")[1])
    return student.features[index - 1].out_channels


def schedule(t: float) -> float:
    """Warm up over a twentieth, then a cosine to a hundredth."""
    return t / 0.05 if t < 0.05 else 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (t - 0.05) / 0.95))


def keep(
    work: Path,
    step: int,
    student: nn.Module,
    heads: nn.Module,
    optimizer: torch.optim.Adam,
    pool: Pool,
    chance: torch.Generator,
) -> None:
    """Write everything that a resumed training needs, or the old file stays."""
    tensors = {f"student.{k}": v for k, v in student.state_dict().items()}
    tensors |= {f"heads.{k}": v for k, v in heads.state_dict().items()}
    tensors |= {f"pool.{k}": v for k, v in pool.state.items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"adam.{index}.{k}": v for k, v in state.items()}
    tensors |= {"chance": chance.get_state(), "step": torch.tensor(step)}
    save_file({k: v.contiguous() for k, v in tensors.items()}, work / "checkpoint.part")
    (work / "checkpoint.part").replace(work / "checkpoint.safetensors")


def resume(
    work: Path, student: nn.Module, heads: nn.Module, optimizer: torch.optim.Adam, pool: Pool, chance: torch.Generator
) -> int:
    """Put back what :func:`keep` wrote, and return the step to go on from (0 when there is none)."""
    path = work / "checkpoint.safetensors"
    if not path.exists():
        return 0
    tensors = load_file(path)

    def part(name: str) -> dict[str, Tensor]:
        return {k.removeprefix(name + "."): v for k, v in tensors.items() if k.startswith(name + ".")}

    student.load_state_dict(part("student"))
    heads.load_state_dict(part("heads"))
    pool.state.update(part("pool"))
    adam: dict[int, dict[str, Tensor]] = {}
    for key, value in part("adam").items():
        index, name = key.split(".")
        adam.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({"state": adam, "param_groups": optimizer.state_dict()["param_groups"]})
    chance.set_state(tensors["chance"])
    return int(tensors["step"])


@torch.no_grad()
def metrics(heads: nn.ModuleDict, teachers: Teachers) -> dict[str, Tensor]:
    """By tap, the symmetric M with ‖M·f‖ = ‖H·f‖, H the heads to VGG-19 in VGG-19's own units.

    Two Gram matrices are then as far apart as the teacher's would be, ‖M·A·M‖ = ‖H·A·Hᵀ‖, at the price of a C × C
    product. The full-resolution tap goes without: its Gram matrix is matched anyway, and it is where time is spent.
    """
    found = {}
    for tap, lessons in LESSONS.items():
        if tap == "relu1_1":
            continue
        square = torch.zeros(())
        for lesson in lessons:
            if lesson.startswith("vgg:"):
                head = heads[f"{tap}->{lesson}".replace(".", "_")].weight.flatten(1)
                head = head * teachers.power[lesson].sqrt()[:, None]
                square = square + head.T @ head
        values, vectors = torch.linalg.eigh(square)
        metric = (vectors * values.clamp_min(1e-5 * values[-1]).sqrt()) @ vectors.T
        found[tap] = metric * math.sqrt(len(metric)) / metric.norm()  # of the size of an identity: half precision
    return found


def export(student: nn.Module, heads: nn.Module, teachers: Teachers, options: argparse.Namespace) -> None:
    """Write the student alone, in half precision, which halves the file and changes no picture visibly."""
    tensors = {k: v.contiguous().half() for k, v in student.state_dict().items()}
    tensors |= {f"metrics.{tap}": m.half() for tap, m in metrics(heads, teachers).items()}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    save_file(
        tensors, options.out, metadata={"steps": f"{options.steps} + {options.finishing}", "seed": str(options.seed)}
    )
    print(f"{options.out}: {options.out.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
