"""Wrong and alternative right answers: from a sentence to a batch of numbers."""

from __future__ import annotations

from collections import Counter

import torch

from utils.grading.bank import Bank

vocabulary = Bank("Vocabulary")

vocabulary.wrong(
    "the sentences are read twice",
    "You go through the sentences twice, and the second time there may be none left: `Iterable` promises only one "
    "reading.",
    edits={
        "counts = Counter(word for sentence in sentences for word in sentence)": "counts = Counter()\n"
        "        for sentence in sentences:\n            counts.update(sentence)\n"
        "        seen = {word for sentence in sentences for word in sentence}",
        "if count >= min_frequency]": "if count >= min_frequency and word in seen]",
    },
)

vocabulary.wrong(
    "more than min_frequency",
    "You keep words that occur more often than min_frequency; a word that occurs exactly that often should stay as well. Look at the comparison.",
    edits={"count >= min_frequency": "count > min_frequency"},
)

vocabulary.wrong(
    "min_frequency ignored",
    "Every word gets an index, however rare: min_frequency has no effect in your build.",
    edits={" if count >= min_frequency": ""},
)

vocabulary.wrong(
    "min_frequency turned around",
    "You keep the rare words and drop the frequent ones. Which side of min_frequency should survive?",
    edits={"count >= min_frequency": "count < min_frequency"},
)

vocabulary.wrong(
    "unknown words become <pad>",
    "A word that is not in the table gets index 0 in your encode. That is <pad>, which later code takes for no word at all; it should get <unk>'s index.",
    edits={'self.index["<unk>"]': "0"},
)

ENCODE = 'unknown = self.index["<unk>"]\n        return [self.index.get(word, unknown) for word in words]'

vocabulary.wrong(
    "unknown words left out",
    "Your encode leaves unknown words out, so the list gets shorter than the sentence. Each word needs an index; the unknown ones share <unk>'s.",
    edits={ENCODE: "return [self.index[word] for word in words if word in self.index]"},
)

vocabulary.wrong(
    "unknown words added",
    "Your encode gives new words new indices. After training there is no embedding for them: encode must look up and never add.",
    edits={
        ENCODE: "return [self.index.setdefault(word, len(self.index)) for word in words]",
    },
)

vocabulary.wrong(
    "ties in order of appearance",
    "Words of equal frequency stand in the order in which they appeared. Then two shufflings of one text give two vocabularies: sort ties alphabetically.",
    edits={"(-counts[word], word)": "-counts[word]"},
)

vocabulary.wrong(
    "alphabetical only",
    "Your words are in alphabetical order; the most frequent word should come first, and the alphabet only decides between equals.",
    edits={"(-counts[word], word)": "word"},
)

vocabulary.wrong(
    "rarest first",
    "Your rarest word comes first. Sort by frequency from the largest down.",
    edits={"-counts[word]": "counts[word]"},
)

SORT = "kept.sort(key=lambda word: (-counts[word], word))"

vocabulary.wrong(
    "ties backwards",
    "Frequent words come first, as they should, but words of equal frequency are in reverse alphabetical order: reverse=True turns around both parts of the key.",
    edits={SORT: "kept.sort(key=lambda word: (counts[word], word), reverse=True)"},
)

vocabulary.wrong(
    "order of appearance",
    "Your words are in the order in which they first appeared. The most frequent should come first.",
    edits={f"        {SORT}\n": ""},
)

vocabulary.wrong(
    "special tokens twice",
    "You hand <pad> and <unk> to the constructor, which puts them in front by itself. Now they are there twice and have the wrong indices.",
    edits={"return cls(kept)": 'return cls(["<pad>", "<unk>", *kept])'},
)

vocabulary.wrong(
    "counts sentences",
    "You count the sentences in which a word occurs. Its frequency is the number of occurrences: twice in one sentence counts twice.",
    edits={"for word in sentence)": "for word in set(sentence))"},
)

vocabulary.wrong(
    "changes the words",
    "You change the words to lower case. That is the tokenizer's decision; the vocabulary should take words as they come.",
    edits={"Counter(word for": "Counter(word.lower() for"},
)

vocabulary.right(
    "counts by hand",
    edits={
        "counts = Counter(word for sentence in sentences for word in sentence)": "counts = {}\n"
        "        for sentence in sentences:\n"
        "            for word in sentence:\n"
        "                counts[word] = counts.get(word, 0) + 1"
    },
)

vocabulary.right(
    "two stable sorts",
    edits={SORT: "kept = sorted(sorted(kept), key=counts.get, reverse=True)"},
)

KEPT = "kept = [word for word, count in counts.items() if count >= min_frequency]"

vocabulary.right(
    "most_common, and a loop to encode",
    edits={
        KEPT: "kept = [word for word, count in counts.most_common() if not count < min_frequency]",
        ENCODE: "indices = []\n"
        "        for word in words:\n"
        "            if word in self.index:\n"
        "                indices.append(self.index[word])\n"
        "            else:\n"
        "                indices.append(1)\n"
        "        return indices",
    },
)

vocabulary.right(
    "constructor, then one word after the other",
    edits={
        "return cls(kept)": "vocabulary = cls()\n"
        "        for word in kept:\n"
        "            vocabulary.index[word] = len(vocabulary.words)\n"
        "            vocabulary.words.append(word)\n"
        "        return vocabulary"
    },
)


vocabulary.wrong(
    'case ignored in the order',
    'You sort words of equal frequency without regard to case. Python\'s own order of strings is asked for, in which "B" comes '
    'before "a".',
    edits={
        "kept.sort(key=lambda word: (-counts[word], word))\n"
        "        return cls(kept)": "return cls(sorted(kept, key=lambda word: (-counts[word], word.lower())))",
        "unknown = self.index[\"<unk>\"]\n"
        "        return [self.index.get(word, unknown) for word in words]": "return [self.index.get(word, 1) for word in words]",
    },
)


vocabulary.wrong(
    'characters',
    'You count letters, not words: a sentence is a sequence of words already.',
    edits={
        "counts = Counter(word for sentence in sentences for word in sentence)": "counts = Counter(letter for sentence in sentences for letter in ''.join(sentence))",
        "kept.sort(key=lambda word: (-counts[word], word))\n"
        "        return cls(kept)": "return cls(sorted(kept, key=lambda word: (-counts[word], word)))",
        "unknown = self.index[\"<unk>\"]\n"
        "        return [self.index.get(word, unknown) for word in words]": "return [self.index.get(word, 1) for word in words]",
    },
)


vocabulary.right(
    'Counter and key',
    edits={
        "counts = Counter(word for sentence in sentences for word in sentence)\n"
        "        kept = [word for word, count in counts.items() if count >= min_frequency]\n"
        "        kept.sort(key=lambda word: (-counts[word], word))\n"
        "        return cls(kept)": "counts = Counter()\n"
        "        for sentence in sentences:\n"
        "            counts.update(sentence)\n"
        "        ranked = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))\n"
        "        return cls([word for word, count in ranked if count >= min_frequency])",
    },
)


@vocabulary.right('two stable sorts, as well')
class Vocabulary:

    def __init__(self, words=()):
        self.words = ['<pad>', '<unk>', *words]
        self.index = {word: index for index, word in enumerate(self.words)}

    def __len__(self):
        return len(self.words)

    @classmethod
    def build(cls, sentences, min_frequency=1):
        counts: dict[str, int] = {}
        for sentence in sentences:
            for word in sentence:
                counts[word] = counts.get(word, 0) + 1
        words = sorted(word for word in counts if counts[word] >= min_frequency)
        words.sort(key=counts.get, reverse=True)
        return cls(words)

    def encode(self, words):
        indices = []
        for word in words:
            if word in self.index:
                indices.append(self.index[word])
            else:
                indices.append(1)
        return indices

    def decode(self, indices):
        return [self.words[index] for index in indices]


collate_bank = Bank("collate")


@collate_bank.wrong(
    "padding at the left",
    "Your padding stands in front of the sentence. It belongs behind it: step 0 should be the first word of every row.",
)
def collate(batch, pad=0):
    lengths = torch.tensor([len(indices) for indices, _ in batch])
    width = int(lengths.max())
    tokens = torch.tensor([[pad] * (width - len(indices)) + list(indices) for indices, _ in batch])
    return tokens, lengths, torch.tensor([label for _, label in batch])


@collate_bank.wrong(
    "lengths after padding",
    "Your lengths are all equal: you measured the rows after they were padded. Measure the sentences.",
)
def collate(batch, pad=0):
    width = max(len(indices) for indices, _ in batch)
    tokens = torch.tensor([list(indices) + [pad] * (width - len(indices)) for indices, _ in batch])
    lengths = torch.tensor([len(row) for row in tokens])
    return tokens, lengths, torch.tensor([label for _, label in batch])


@collate_bank.wrong(
    "cut to the shortest",
    "You cut every sentence to the shortest one. Nothing should be lost: N is the longest length, and the others are padded up to it.",
)
def collate(batch, pad=0):
    lengths = torch.tensor([len(indices) for indices, _ in batch])
    width = int(lengths.min())
    tokens = torch.tensor([list(indices)[:width] for indices, _ in batch], dtype=torch.long)
    return tokens, lengths, torch.tensor([label for _, label in batch])


collate_bank.wrong(
    "pad ignored",
    "You always pad with 0 and never look at the argument pad.",
    edits={"int(lengths.max())), pad,": "int(lengths.max())), 0,"},
)


@collate_bank.wrong(
    "lengths from the padding",
    "You count the tokens that are not pad. Index pad can also stand inside a sentence; count the sentence's own tokens, before padding.",
)
def collate(batch, pad=0):
    width = max(len(indices) for indices, _ in batch)
    tokens = torch.tensor([list(indices) + [pad] * (width - len(indices)) for indices, _ in batch])
    return tokens, (tokens != pad).sum(dim=1), torch.tensor([label for _, label in batch])


@collate_bank.wrong(
    "sorted by length",
    "Your rows are sorted by length. Keep the batch's order: nothing here needs sorted rows, and whoever looks at row 3 should find example 3.",
)
def collate(batch, pad=0):
    batch = sorted(batch, key=lambda example: -len(example[0]))
    lengths = torch.tensor([len(indices) for indices, _ in batch])
    width = int(lengths.max())
    tokens = torch.tensor([list(indices) + [pad] * (width - len(indices)) for indices, _ in batch])
    return tokens, lengths, torch.tensor([label for _, label in batch])


collate_bank.wrong(
    "labels as floats",
    "Your labels are floats. A class is an index, and cross_entropy wants it as int64 (torch.long).",
    edits={
        "torch.tensor([label for _, label in batch], dtype=torch.long)": "torch.tensor([float(label) for _, label in batch])"
    },
)

collate_bank.wrong(
    "tokens as floats",
    "Your tokens are floats. An embedding looks rows up by index, so they should be int64 (torch.long).",
    edits={"pad, dtype=torch.long)  # (B, N)": "float(pad))"},
)

collate_bank.wrong(
    "labels as a column",
    "Your labels have shape (B, 1). One number per example is enough: (B,).",
    edits={"[label for _, label in batch]": "[[label] for _, label in batch]"},
)

collate_bank.wrong(
    "time first",
    "Your tokens are (N, B): time first. In this course the batch is the first axis, (B, N).",
    edits={"return tokens, lengths, labels": "return tokens.t(), lengths, labels"},
)

collate_bank.wrong(
    "one column too many",
    "Your rectangle is one column too wide: its width should be the longest length exactly.",
    edits={"int(lengths.max())": "int(lengths.max()) + 1"},
)

collate_bank.wrong(
    "lengths and labels swapped",
    "You return labels before lengths. The order is tokens, lengths, labels.",
    edits={"return tokens, lengths, labels": "return tokens, labels, lengths"},
)


@collate_bank.right("pad_sequence")
def collate(batch, pad=0):
    from torch.nn.utils.rnn import pad_sequence

    rows = [torch.tensor(indices, dtype=torch.long) for indices, _ in batch]
    tokens = pad_sequence(rows, batch_first=True, padding_value=pad)
    return tokens, torch.tensor([len(row) for row in rows]), torch.tensor([label for _, label in batch])


@collate_bank.right("lists of lists")
def collate(batch, pad=0):
    sentences, labels = zip(*batch)
    lengths = [len(sentence) for sentence in sentences]
    tokens = [[*sentence, *[pad] * (max(lengths) - len(sentence))] for sentence in sentences]
    return torch.tensor(tokens), torch.tensor(lengths), torch.tensor(labels)


@collate_bank.right("a boolean mask")
def collate(batch, pad=0):
    lengths = torch.tensor([len(indices) for indices, _ in batch])
    real = torch.arange(int(lengths.max()))[None, :] < lengths[:, None]
    tokens = torch.zeros(real.shape, dtype=torch.int64).fill_(pad)
    tokens[real] = torch.tensor([index for indices, _ in batch for index in indices])
    return tokens, lengths, torch.tensor([label for _, label in batch])


@collate_bank.right("padded one by one and stacked")
def collate(batch, pad=0):
    width = max(len(indices) for indices, _ in batch)
    rows = []
    for indices, _ in batch:
        row = torch.tensor(list(indices)).long()
        rows.append(torch.nn.functional.pad(row, (0, width - len(row)), value=pad))
    lengths = torch.LongTensor([len(indices) for indices, _ in batch])
    return torch.stack(rows), lengths, torch.LongTensor([label for _, label in batch])


@collate_bank.wrong(
    'empty sentences dropped',
    'You leave sentences without words out, so the batch gets shorter. Each example keeps its row.'
)
def collate(batch, pad=0):
    batch = [example for example in batch if len(example[0])]
    longest = max((len(indices) for indices, _ in batch))
    rows = [list(indices) + [pad] * (longest - len(indices)) for indices, _ in batch]
    lengths = torch.tensor([len(indices) for indices, _ in batch])
    return (torch.tensor(rows, dtype=torch.long), lengths, torch.tensor([label for _, label in batch]))


@collate_bank.wrong(
    'an empty sentence has length one',
    'You give a sentence without words a length of one, so a token of padding would count. Its length is 0.'
)
def collate(batch, pad=0):
    longest = max((len(indices) for indices, _ in batch))
    rows = [list(indices) + [pad] * (longest - len(indices)) for indices, _ in batch]
    lengths = torch.tensor([max(len(indices), 1) for indices, _ in batch])
    return (torch.tensor(rows, dtype=torch.long), lengths, torch.tensor([label for _, label in batch]))


@collate_bank.right('lists')
def collate(batch, pad=0):
    sentences, labels = ([list(indices) for indices, _ in batch], [label for _, label in batch])
    lengths = [len(sentence) for sentence in sentences]
    longest = max(lengths, default=0)
    rows = [sentence + [pad] * (longest - len(sentence)) for sentence in sentences]
    tokens = torch.tensor(rows, dtype=torch.int64).reshape(len(batch), longest)
    return (tokens, torch.tensor(lengths, dtype=torch.int64), torch.tensor(labels, dtype=torch.int64))


@collate_bank.right('pad_sequence, as well')
def collate(batch, pad=0):
    from torch.nn.utils.rnn import pad_sequence
    rows = [torch.tensor(list(indices), dtype=torch.int64) for indices, _ in batch]
    tokens = pad_sequence(rows, batch_first=True, padding_value=pad)
    lengths = torch.tensor([len(row) for row in rows], dtype=torch.int64)
    labels = torch.tensor([label for _, label in batch], dtype=torch.int64)
    return (tokens, lengths, labels)


vocabulary.wrong(
    'counter shared by all builds',
    'Your counter outlives a build: the second vocabulary holds the words of the first one, too. Make a new counter in each call.',
    edits={
        'counts = Counter(word for sentence in sentences for word in sentence)': 'counts = vars(Vocabulary).get("counts", Counter())\n        counts.update(word for sentence in sentences for word in sentence)\n        Vocabulary.counts = counts',
    },
)


vocabulary.wrong(
    'zero is false',
    '`index.get(word) or ...` takes the valid index 0 for a missing word, so <pad> is encoded as <unk>. Give `get` its second argument.',
    edits={
        'self.index.get(word, unknown)': 'self.index.get(word) or unknown',
    },
)


SORTED = "kept.sort(key=lambda word: (-counts[word], word))"
ORDER = "The words are the right ones, in another order: the most frequent first, words of equal frequency in alphabetical order."

vocabulary.wrong("equals by their first letter", ORDER, edits={SORTED: "kept.sort(key=lambda word: (-counts[word], word[:1]))"})

vocabulary.wrong("equals by length", ORDER, edits={SORTED: "kept.sort(key=lambda word: (-counts[word], len(word)))"})

vocabulary.wrong("equals by length, then alphabetically", ORDER, edits={SORTED: "kept.sort(key=lambda word: (-counts[word], len(word), word))"})

vocabulary.wrong("equals from behind", ORDER, edits={SORTED: "kept.sort(key=lambda word: (-counts[word], word[::-1]))"})

vocabulary.wrong("equals by their last appearance", ORDER, edits={SORTED: "kept = sorted(reversed(kept), key=lambda word: -counts[word])"})
