%% os.fork() in code of a context: both processes come back, the parent alone answers.
-module(py_fork_SUITE).

-include_lib("stdlib/include/assert.hrl").

-compile([export_all, nowarn_export_all]).

suite() -> [{timetrap, {seconds, 60}}].

all() -> [eval, call_and_exec, fails, stream, asynchronous_stream, at_once, nested, within_a_registered_function].

init_per_testcase(_Case, Config) ->
    py_client:start_app([{hosts, 1}, {contexts, 2}]),
    ok = py:exec("import os, warnings\nwarnings.simplefilter('ignore')\n"),
    Config.

end_per_testcase(_Case, _Config) ->
    py_client:stop_app().

eval(_) ->
    {ok, Host} = py:eval("os.getpid()"),
    Answers = [py:eval("(os.fork() > 0, os.getpid())") || _ <- lists:seq(1, 20)],
    [{ok, {true, Host}}] = lists:usort(Answers),
    {ok, Host} = py:eval("os.getpid()"),
    no_children(Host).

call_and_exec(_) ->
    {ok, Host} = py:call(os, getpid, []),
    {ok, Child} = py:call(os, fork, []),
    true = Child > 0,
    ok = py:exec("child = os.fork()"),
    {ok, true} = py:eval("child > 0"),
    {ok, Host} = py:call(os, getpid, []),
    no_children(Host).

fails(_) ->
    {ok, Host} = py:eval("os.getpid()"),
    {error, {'ZeroDivisionError', _}} = py:eval("os.fork() and 1 // 0"),
    %% The child's own failure is nobody's.
    {ok, true} = py:eval("os.fork() > 0 or 1 // 0"),
    {error, {'TypeError', _}} = py:eval("{os.fork()} and object()"),
    {ok, Host} = py:eval("os.getpid()"),
    no_children(Host).

stream(_) ->
    {ok, Host} = py:eval("os.getpid()"),
    {ok, [0, 1, 2, 3]} = py:stream_eval("(n if n != 2 or os.fork() else -1 for n in range(4))"),
    ok = py:exec("def items():\n    for n in range(4):\n        yield n if n != 2 or os.fork() else -1\n"),
    {ok, Ref} = py:stream_start('__main__', items, []),
    [receive {py_stream, Ref, Event} -> ok end || Event <- [{data, 0}, {data, 1}, {data, 2}, {data, 3}, done]],
    receive {py_stream, Ref, More} -> ct:fail(More) after 0 -> ok end,
    no_children(Host).

asynchronous_stream(_) ->
    {ok, Host} = py:eval("os.getpid()"),
    ok = py:exec("async def items():\n    for n in range(4):\n        yield n if n != 2 or os.fork() else -1\n"),
    {ok, [0, 1, 2, 3]} = py:stream_eval("items()"),
    no_children(Host).

%% Other contexts are in the midst of calls when a child is made.
at_once(_) ->
    {ok, Host} = py:eval("os.getpid()"),
    Forks = [py:spawn_call(os, fork, []) || _ <- lists:seq(1, 10)],
    Others = [py:spawn_call(builtins, abs, [-N]) || N <- lists:seq(1, 10)],
    Children = [begin {ok, Child} = py:await(Call), Child end || Call <- Forks],
    ?assertEqual([], [Child || Child <- Children, Child =:= 0]),
    ?assertEqual([{ok, N} || N <- lists:seq(1, 10)], [py:await(Call) || Call <- Others]),
    no_children(Host).

nested(_) ->
    {ok, Host} = py:eval("os.getpid()"),
    ok = py:register_function(evaluate, fun([Code]) -> {ok, Value} = py:eval(Code), Value end),
    Code = "__import__('erlang').call('evaluate', \"__import__('erlang').call('evaluate', '(__import__(\\\"os\\\").fork() > 0, 1)')\")",
    [{ok, {true, 1}}] = lists:usort([py:eval(Code) || _ <- lists:seq(1, 5)]),
    no_children(Host).

within_a_registered_function(_) ->
    {ok, Host} = py:eval("os.getpid()"),
    ok = py:register_function(add_one, fun([X]) -> X + 1 end),
    ok = py:exec("import erlang\ndef forks(n):\n    pid = os.fork()\n    return erlang.call('add_one', n)\n"),
    %% The child's own call is refused; nobody waits for its outcome.
    [{ok, 4}] = lists:usort([py:eval("forks(3)") || _ <- lists:seq(1, 5)]),
    no_children(Host).

%% Children end by themselves; their parent has not waited for them.
no_children(Host) ->
    case string:trim(os:cmd("ps -o pid=,stat= --ppid " ++ integer_to_list(Host) ++ " | grep -v Z")) of
        [] -> ok;
        _ -> erlang:yield(), no_children(Host)
    end.
