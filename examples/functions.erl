%% Functions for examples/threads.py. Each takes the list of the call's arguments.
-module(functions).
-export([double_it/1, add_one/1, slow/1, maybe_fail/1]).

double_it([X]) -> X * 2.

add_one([X]) -> X + 1.

slow([Milliseconds]) ->
    timer:sleep(Milliseconds),
    Milliseconds.

maybe_fail([X]) when X < 42 -> X;
maybe_fail([X]) -> error({too_large, X}).
