"""surgery: pretrained networks changed, each operation with the proof of what it did to the outputs."""

from impasto.networks.surgery.batch_norm import insert_batch_norm
from impasto.networks.surgery.dropout import change_dropout
from impasto.networks.surgery.head import replace_head
from impasto.networks.surgery.normalised import insert_as_in
from impasto.networks.surgery.proof import Proof, compare
from impasto.networks.surgery.split import split_at

__all__ = ["Proof", "change_dropout", "compare", "insert_as_in", "insert_batch_norm", "replace_head", "split_at"]
