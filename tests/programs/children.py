"""Work with processes of every kind; each must find ``__main__`` again."""

import multiprocessing
import sys


class Loop:
    """A cycle, in whichever process it is made."""

    def __init__(self, number):
        self.number = number
        self.own = self


def work(number):
    return Loop(number)


if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    with context.Pool(2) as pool:
        made = pool.map(work, range(3))
        pool.close()
        pool.join()
    print([loop.number for loop in made], made[0].own is made[0], type(made[0]) is Loop)
