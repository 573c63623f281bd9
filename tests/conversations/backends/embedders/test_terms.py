"""The table of word vectors."""

from __future__ import annotations

import threading

import numpy as np

from conversations.backends.embedders.terms import TermTable


class Letters:
    """Embeds a word as the number of its first letter, and remembers what it was asked."""

    def __init__(self):
        self.asked = []

    def __call__(self, words):
        self.asked += words
        return np.array([[ord(word[0]), 0] for word in words], np.float32)


def test_each_word_is_embedded_once():
    letters = Letters()
    table = TermTable(letters, 2)

    first = table(["a", "b", "a"])
    second = table(["b", "c"])

    assert letters.asked == ["a", "b", "c"]
    assert first[:, 0].tolist() == [97, 98, 97]
    assert second[:, 0].tolist() == [98, 99]


def test_table_grows_without_losing_words():
    table = TermTable(Letters(), 2)
    words = [chr(97 + i % 26) + str(i) for i in range(3000)]

    for word in words:
        table([word])

    assert table(words)[:, 0].tolist() == [ord(word[0]) for word in words]


def test_full_table_starts_anew():
    letters = Letters()
    table = TermTable(letters, 2, capacity=3)
    table(["a", "b"])

    rows = table(["a", "c", "d"])

    assert rows[:, 0].tolist() == [97, 99, 100]
    assert letters.asked == ["a", "b", "a", "c", "d"]
    assert len(table) == 3


def test_more_words_than_the_table_holds_are_still_answered():
    table = TermTable(Letters(), 2, capacity=2)

    assert table(["a", "b", "c"])[:, 0].tolist() == [97, 98, 99]


def test_rows_given_out_do_not_change_later():
    table = TermTable(Letters(), 2, capacity=2)
    rows = table(["a", "b"])

    table(["c", "d"])

    assert rows[:, 0].tolist() == [97, 98]


def test_threads_share_the_table():
    table = TermTable(Letters(), 2, capacity=50)
    wrong = []

    def look(offset):
        for i in range(200):
            word = chr(97 + (offset + i) % 26) + str(i % 40)
            if table([word])[0, 0] != ord(word[0]):
                wrong.append(word)

    threads = [threading.Thread(target=look, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []
