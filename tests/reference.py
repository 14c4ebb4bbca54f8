"""Slow, obvious versions of judging and ranking: the oracles that clever code is tested against."""

import math
import random
from types import SimpleNamespace

import numpy as np


def judge_pair(protocol: str, query: SimpleNamespace, gallery: SimpleNamespace) -> tuple[bool, bool]:
    """Relevant and keep of one query and one gallery image, in the words of docs/protocols.md."""
    same_person = query.pid == gallery.pid
    same_camera = query.camid == gallery.camid
    same_clothes = query.clothes_id == gallery.clothes_id
    if protocol == "text_to_image":
        return same_person, True
    if gallery.pid == -1 and protocol != "irm_released":
        return same_person, False
    if protocol == "clothes_change":
        return same_person, not (same_person and (same_camera or same_clothes))
    if protocol == "clothes_same":
        return same_person, not (same_person and (same_camera or not same_clothes))
    if protocol == "instructed_outfit":
        return same_person and same_clothes, not (same_person and same_camera)
    return same_person, not (same_person and same_camera)


def judge(protocol: str, query, gallery) -> tuple[np.ndarray, np.ndarray]:
    """Relevant and keep of every pair."""
    relevant = np.zeros((len(query.pids), len(gallery.pids)), dtype=bool)
    keep = relevant.copy()
    for q in range(len(query.pids)):
        for g in range(len(gallery.pids)):
            relevant[q, g], keep[q, g] = judge_pair(protocol, _row(query, q), _row(gallery, g))
    return relevant, keep


def _row(labels, row: int) -> SimpleNamespace:
    clothes_id = None if labels.clothes_ids is None else labels.clothes_ids[row]
    return SimpleNamespace(pid=labels.pids[row], camid=labels.camids[row], clothes_id=clothes_id)


def rank(distmat, relevant, keep, *, max_rank=50, ap_topk=None, identities=None) -> SimpleNamespace:
    """CMC, mAP and mINP by walking down each ranked list."""
    average_precision, penalty, first_match = [], [], []
    for distances, is_relevant, is_kept in zip(distmat, relevant, keep, strict=True):
        order = sorted(range(len(distances)), key=lambda g, row=distances: (row[g], g))
        num_seen = num_hits = num_counted = 0
        precisions, seen_identities, first, last = 0.0, set(), 0, 0
        for place, g in enumerate(order, start=1):
            if not is_kept[g]:
                continue
            num_seen += 1
            in_reach = ap_topk is None or place <= ap_topk
            if is_relevant[g]:
                num_hits += 1
                last = num_seen
                if in_reach:
                    num_counted += 1
                    precisions += num_hits / num_seen
                if num_hits == 1 and in_reach:
                    first = num_seen if identities is None else len(seen_identities) + 1
            elif identities is not None:
                seen_identities.add(identities[g])
        average_precision.append(precisions / max(num_counted, 1) if num_hits else math.nan)
        penalty.append(num_hits / last if num_hits else math.nan)
        first_match.append(first)
    valid = [not math.isnan(ap) for ap in average_precision]
    count = sum(valid)
    return SimpleNamespace(
        cmc=[sum(0 < first <= k for first in first_match) / count for k in range(1, max_rank + 1)],
        mean_ap=sum(ap for ap in average_precision if not math.isnan(ap)) / count,
        mean_inp=sum(inp for inp in penalty if not math.isnan(inp)) / count,
        average_precision=average_precision,
        first_match=first_match,
        num_valid_queries=count,
    )


def re_rank(query, gallery, k1: int, k2: int, lambda_value: float) -> np.ndarray:
    """k-reciprocal re-ranking with sets and dense matrices."""
    pool = np.concatenate([query, gallery]).astype(np.float64)
    squares = np.square(pool[:, None] - pool[None, :]).sum(axis=2)
    scaled = squares / squares.max(axis=1, keepdims=True)
    ranked = np.argsort(scaled, axis=1, kind="stable")

    def reciprocal(image: int, k: int) -> set[int]:
        return {other for other in ranked[image, : k + 1].tolist() if image in ranked[other, : k + 1]}

    weights = np.zeros(squares.shape)
    for image in range(len(pool)):
        members = reciprocal(image, k1)
        joined = set(members)
        for member in members:
            half = reciprocal(member, int(np.around(k1 / 2)))
            if len(half & members) > 2 / 3 * len(half):
                joined |= half
        columns = sorted(joined)
        weights[image, columns] = np.exp(-scaled[image, columns])
        weights[image] /= weights[image].sum()
    if k2 > 1:
        weights = np.stack([weights[ranked[image, :k2]].mean(axis=0) for image in range(len(pool))])
    final = np.empty((len(query), len(gallery)))
    for q in range(len(query)):
        for g in range(len(gallery)):
            shared = np.minimum(weights[q], weights[len(query) + g]).sum()
            jaccard = 1 - shared / (2 - shared)
            final[q, g] = (1 - lambda_value) * jaccard + lambda_value * scaled[q, len(query) + g]
    return final


def llcm_gallery(pids, camids, trial: int) -> list[int]:
    """The LLCM authors' draw: seed, then a choice a folder, people in order and cameras in order."""
    random.seed(trial)
    rows = []
    for pid in sorted(set(pids)):
        for camid in sorted(set(camids)):
            folder = [row for row in range(len(pids)) if pids[row] == pid and camids[row] == camid]
            if folder:
                rows.append(random.choice(folder))
    return rows


def labels(
    num: int, rng: np.random.Generator, *, num_people=4, num_cameras=3, num_clothes=2
) -> SimpleNamespace:
    """Random labels with junk (pid -1) and distractors (pid 0); clothes ids are unique over the data set."""
    pids = rng.integers(-1, num_people + 1, num)
    return SimpleNamespace(
        pids=pids,
        camids=rng.integers(0, num_cameras, num),
        clothes_ids=(pids + 1) * num_clothes + rng.integers(0, num_clothes, num),
        modalities=None,
    )
