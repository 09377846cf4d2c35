%% Calls of Python from Erlang processes. The driver asks for them; the processes are others than the handler that hears it, whose calls of
%% Python would go back to the driver.
-module(caller).

-export([py_rate/1, py_latency/1, py_parallel/1]).

%% Calls within so many milliseconds: how many, and the nanoseconds that they took.
-spec py_rate([pos_integer()]) -> {pos_integer(), pos_integer()}.
py_rate([Milliseconds]) ->
    apart(fun() ->
        Start = erlang:monotonic_time(nanosecond),
        count(0, Start, Start + Milliseconds * 1000000)
    end).

-spec count(non_neg_integer(), integer(), integer()) -> {pos_integer(), pos_integer()}.
count(Calls, Start, End) ->
    case erlang:monotonic_time(nanosecond) of
        Now when Now < End -> call(), count(Calls + 1, Start, End);
        Now -> {Calls, Now - Start}
    end.

%% The latency of each call within so many milliseconds, as pairs of nanoseconds and how many took those, about.
-spec py_latency([pos_integer()]) -> [{pos_integer(), pos_integer()}].
py_latency([Milliseconds]) ->
    apart(fun() ->
        End = erlang:monotonic_time(nanosecond) + Milliseconds * 1000000,
        maps:to_list(time(#{}, End))
    end).

-spec time(#{pos_integer() => pos_integer()}, integer()) -> #{pos_integer() => pos_integer()}.
time(Seen, End) ->
    Before = erlang:monotonic_time(nanosecond),
    call(),
    After = erlang:monotonic_time(nanosecond),
    %% In steps of an eighth of a microsecond, so that there are not too many.
    Took = ((After - Before) bsr 7 bsl 7) + 64,
    Seen1 = maps:update_with(Took, fun(N) -> N + 1 end, 1, Seen),
    case After < End of
        true -> time(Seen1, End);
        false -> Seen1
    end.

-spec call() -> ok.
call() ->
    {ok, 4.0} = py:call(math, sqrt, [16]),
    ok.

%% The nanoseconds in which so many processes each have a Python loop of so many steps done, all at once.
-spec py_parallel([pos_integer()]) -> pos_integer().
py_parallel([Processes, Steps]) ->
    Loop = fun() -> {ok, Sum} = py:eval(<<"sum(i * i for i in range(n))">>, #{n => Steps}), Sum end,
    Start = erlang:monotonic_time(nanosecond),
    Started = [start(Loop) || _ <- lists:seq(1, Processes)],
    [_] = lists:usort([finish(S) || S <- Started]),
    erlang:monotonic_time(nanosecond) - Start.

-spec apart(fun(() -> Result)) -> Result.
apart(Fun) ->
    finish(start(Fun)).

-spec start(fun(() -> term())) -> reference().
start(Fun) ->
    {_, Monitor} = spawn_monitor(fun() -> exit({result, Fun()}) end),
    Monitor.

%% Waits as long as the process lives, which the driver's patience limits.
-spec finish(reference()) -> term().
finish(Monitor) ->
    receive
        {'DOWN', Monitor, process, _, {result, Result}} -> Result;
        {'DOWN', Monitor, process, _, Reason} -> error(Reason)
    end.
