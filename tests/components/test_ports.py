"""Deliveries of a tick come before its processes, in one order; so the start order of processes changes nothing."""

import numpy as np

from hwsim.components.ports import Environment, Switchboard


def run(order):
    env = Environment()
    board = Switchboard(env)
    trace = []

    def sender(name):
        for turn in range(3):
            yield env.timeout(2)
            board.send(name, "shared", (name, turn))

    def reader():
        while True:
            message = yield board.port("shared").next()
            trace.append((env.now, message))
            yield env.timeout(1)

    processes = [sender("c"), sender("a"), sender("b"), reader()]
    for index in order:
        env.process(processes[index])
    env.run(until=30)
    return trace


def test_the_start_order_of_processes_changes_nothing():
    traces = [run(np.random.default_rng(seed).permutation(4)) for seed in range(20)]
    assert all(trace == traces[0] for trace in traces)
    assert [message for _, message in traces[0][:3]] == [("a", 0), ("b", 0), ("c", 0)]


def test_a_message_is_seen_latency_ticks_later():
    env = Environment()
    board = Switchboard(env)
    seen = []

    def sender():
        yield env.timeout(5)
        board.send("x", "p", 1, latency=3)

    def reader():
        yield board.port("p").next()
        seen.append(env.now)

    env.process(reader())
    env.process(sender())
    env.run()
    assert seen == [8]


def test_a_message_is_delivered_before_any_process_of_its_tick():
    env = Environment()
    board = Switchboard(env)
    waiting = []

    def watcher():
        yield env.timeout(4)
        waiting.append(len(board.port("p")))

    def sender():
        yield env.timeout(3)
        board.send("x", "p", 1)

    env.process(watcher())
    env.process(sender())
    env.run()
    assert waiting == [1]
