%% The rest of the module py, with real hosts: calls without waiting, shared state, memory, logging, names of other times, two hosts.
-module(py_api_SUITE).

-include_lib("stdlib/include/assert.hrl").

-compile([export_all, nowarn_export_all]).

suite() -> [{timetrap, {seconds, 30}}].

all() ->
    [
        cast, cast_in_context, cast_failure, spawn_call, spawn_call_fails, await_again, spawn_call_in_context, spawn_call_owner_dies,
        state, state_counts, state_from_python,
        gc, memory, logging, logging_levels, logging_of_later_hosts,
        router, context_module,
        two_hosts, two_hosts_namespaces, two_hosts_one_dies, two_hosts_gc, unsent_goes_elsewhere
    ].

init_per_testcase(Case, Config) ->
    py_client:start_app([{hosts, hosts(Case)}, {contexts, 2}]),
    {ok, _} = py:start_contexts(),
    Config.

end_per_testcase(_Case, _Config) ->
    _ = logger:remove_handler(?MODULE),
    py_client:stop_app().

hosts(two_hosts) -> 2;
hosts(two_hosts_namespaces) -> 2;
hosts(two_hosts_one_dies) -> 2;
hosts(two_hosts_gc) -> 2;
hosts(unsent_goes_elsewhere) -> 2;
hosts(_) -> 1.

%% Not waiting

cast(_) ->
    tell_me(),
    ok = py:cast(erlang, call, [<<"tell_me">>, 1]),
    receive {told, [1]} -> ok end,
    ok = py:exec("import erlang\ndef told(*args, **kwargs): erlang.call('tell_me', args, kwargs)\n"),
    ok = py:cast('__main__', told, [2], #{key => 3}),
    receive {told, [{2}, #{<<"key">> := 3}]} -> ok end,
    empty_mailbox().

cast_in_context(_) ->
    tell_me(),
    Context = py:context(2),
    {ok, Ident} = py:eval(Context, "__import__('threading').get_ident()"),
    ok = py:exec("import erlang, threading\ndef told(**kwargs): erlang.call('tell_me', threading.get_ident(), kwargs)\n"),
    ok = py:cast(Context, '__main__', told, []),
    receive {told, [Ident, #{}]} -> ok end,
    ok = py:cast(Context, '__main__', told, [], #{a => 1}),
    receive {told, [Ident, #{<<"a">> := 1}]} -> ok end.

%% Nobody waits for it, but it does not get lost.
cast_failure(_) ->
    listen(),
    ok = py:cast(math, sqrt, [-1]),
    #{msg := {report, #{what := py_cast_failed, reason := {'ValueError', _}}}} = logged(),
    ?assertError(badarg, py:cast(1, sqrt, [])).

spawn_call(_) ->
    [A, B] = [py:spawn_call(math, sqrt, [X]) || X <- [100, 144]],
    {ok, 12.0} = py:await(B),
    {ok, 10.0} = py:await(A, 5000),
    {ok, 255} = py:await(py:spawn_call(builtins, int, [<<"ff">>], #{base => 16})),
    %% The message that code written for erlang_python may receive itself.
    Ref = py:spawn_call(math, sqrt, [9]),
    receive {py_response, Ref, {ok, 3.0}} -> ok end,
    ok = py:exec("def mine(): return 'mine'"),
    {ok, <<"mine">>} = py:await(py:spawn_call('__main__', mine, [])).

spawn_call_fails(_) ->
    {error, {'ValueError', _}} = py:await(py:spawn_call(math, sqrt, [-1])),
    ?assertError(badarg, py:spawn_call(math, 1, [])).

await_again(_) ->
    Gate = gate(),
    Ref = py:spawn_call(erlang, call, [<<"gate">>]),
    Function = Gate(),
    {error, timeout} = py:await(Ref, 0),
    {error, timeout} = py:await(Ref, 10),
    Function ! open,
    {ok, 1} = py:await(Ref),
    {error, timeout} = py:await(Ref, 0).

spawn_call_in_context(_) ->
    Context = py:context(1),
    {ok, Ident} = py:eval(Context, "__import__('threading').get_ident()"),
    {ok, Ident} = py:await(py:spawn_call(Context, threading, get_ident, [])),
    {ok, 255} = py:await(py:spawn_call(Context, builtins, int, [<<"ff">>], #{base => 16})).

spawn_call_owner_dies(_) ->
    tell_me(),
    {Owner, Monitor} = spawn_monitor(fun() ->
        ok = py:exec("import erlang, time\n"
                     "def work():\n"
                     "    try:\n"
                     "        erlang.call('tell_me', 'begun')\n"
                     "        while True: time.sleep(0.001)\n"
                     "    except erlang.Interrupted: erlang.call('tell_me', 'interrupted')\n"),
        _ = py:spawn_call('__main__', work, []),
        receive after infinity -> ok end
    end),
    receive {told, [<<"begun">>]} -> exit(Owner, kill) end,
    receive {'DOWN', Monitor, _, _, _} -> ok end,
    receive {told, [<<"interrupted">>]} -> ok end,
    idle(2).

%% Shared state

state(_) ->
    {error, not_found} = py:state_fetch(key),
    ok = py:state_store(key, #{a => [1]}),
    {ok, #{a := [1]}} = py:state_fetch(key),
    ok = py:state_store(<<"other">>, 1),
    %% To Python an atom is its text.
    [<<"key">>, <<"other">>] = lists:sort(py:state_keys()),
    {ok, #{<<"a">> := [1]}} = py:eval("__import__('erlang').state_get('key')"),
    {ok, #{a := [1]}} = py:state_fetch(<<"key">>),
    ok = py:state_remove(key),
    ok = py:state_remove(key),
    {error, not_found} = py:state_fetch(key),
    ok = py:state_clear(),
    [] = py:state_keys().

state_counts(_) ->
    [1, 11, 10, 0] = [py:state_incr(n), py:state_incr(n, 10), py:state_decr(n), py:state_decr(n, 10)],
    -1 = py:state_decr(other),
    ok = py:state_store(text, <<"x">>),
    ?assertError(badarg, py:state_incr(text)).

state_from_python(_) ->
    ok = py:exec("import erlang\nerlang.state_set('key', {'a': [1, None]})\nerlang.state_incr('n', 5)\n"),
    {ok, #{<<"a">> := [1, none]}} = py:state_fetch(<<"key">>),
    6 = py:state_incr(<<"n">>),
    ok = py:state_store(<<"pid">>, self()),
    {ok, {6, Pid, none}} = py:eval("tuple(map(__import__('erlang').state_get, ['n', 'pid', 'absent']))"),
    ?assertEqual(self(), Pid).

%% Memory and logging

gc(_) ->
    ok = py:exec("import gc\ngc.disable()\nfor _ in range(10):\n    a = []\n    a.append(a)\ndel a\n"),
    {ok, Collected} = py:gc(),
    ?assert(Collected >= 10),
    ok = py:exec("gc.enable()").

memory(_) ->
    {ok, #{gc_stats := [_ | _], gc_count := _, gc_threshold := _} = Stats} = py:memory_stats(),
    ?assertNot(is_map_key(traced_memory_current, Stats)),
    ok = py:exec("import tracemalloc\ntracemalloc.start()"),
    {ok, #{traced_memory_current := N, traced_memory_peak := M}} = py:memory_stats(),
    ?assert(is_integer(N) andalso M >= N),
    ok = py:exec("tracemalloc.stop()").

logging(_) ->
    listen(),
    ok = py:configure_logging(#{level => info}),
    log("logging.getLogger('shop.till').warning('sold %s for %d', 'žluť', 5)"),
    #{level := warning, msg := Text, meta := #{python_logger := <<"shop.till">>, python_thread := Thread}} = logged(),
    ?assertEqual("sold žluť for 5", text(Text)),
    ?assertMatch(<<"erlang-context", _/binary>>, Thread),
    log("logging.getLogger('a').debug('below the level')\nlogging.getLogger('a').info('at it')"),
    #{level := info, msg := At} = logged(),
    ?assertEqual("at it", text(At)).

logging_levels(_) ->
    listen(),
    ok = py:configure_logging(#{level => error}),
    log("logging.warning('no')\nlogging.critical('yes')"),
    #{level := critical, msg := Yes} = logged(),
    ?assertEqual("yes", text(Yes)),
    ok = py:configure_logging(#{level => debug}),
    log("logging.getLogger().debug('now')"),
    #{level := debug, msg := Now} = logged(),
    ?assertEqual("now", text(Now)),
    ?assertError(_, py:configure_logging(#{level => loud})).

logging_of_later_hosts(_) ->
    listen(),
    ok = py:configure_logging(#{level => warning}),
    {ok, Pid} = py:eval("__import__('os').getpid()"),
    kill(Pid),
    eventually(fun() ->
        case py:eval("__import__('os').getpid()") of {ok, Other} -> Other =/= Pid; _ -> false end
    end),
    eventually(fun() ->
        log("logging.getLogger('later').warning('heard')"),
        case logged(100) of #{meta := #{python_logger := <<"later">>}} -> true; _ -> false end
    end).

%% Names of erlang_python 4.x

router(_) ->
    2 = py_context_router:num_contexts(),
    [A, B] = py_context_router:contexts(),
    [A, B] = [py_context_router:get_context(N) || N <- [1, 2]],
    ?assert(lists:member(py_context_router:get_context(), [A, B])),
    ok = py:stop_contexts(),
    eventually(fun() -> py_context_router:num_contexts() =:= 0 end).

context_module(_) ->
    Context = py_context_router:get_context(1),
    {ok, 4.0} = py_context:call(Context, math, sqrt, [16]),
    {ok, 255} = py_context:call(Context, builtins, int, [<<"ff">>], #{base => 16}),
    {ok, 255} = py_context:call(Context, builtins, int, [<<"ff">>], #{base => 16}, 5000),
    {ok, 3} = py_context:eval(Context, <<"1 + 2">>),
    {ok, 42} = py_context:eval(Context, "x * y", #{x => 6, y => 7}),
    {error, timeout} = py_context:eval(Context, "[0 for _ in iter(int, 1)]", #{}, 20),
    ok = py_context:exec(Context, "x = 1"),
    {error, {'NameError', _}} = py_context:exec(Context, "y").

%% Two hosts

-define(PID, "__import__('os').getpid()").

two_hosts(_) ->
    {ok, [_, _, _, _] = Contexts} = py:start_contexts(),
    {ok, #{hosts := 2, contexts := 4}} = py:stats(),
    Pids = [begin {ok, Pid} = py:eval(Context, ?PID), Pid end || Context <- Contexts],
    ?assertMatch([_, _], lists:usort(Pids)),
    %% Calls at the same time are spread over both.
    Gate = gate(),
    ?assertEqual(lists:sort(Pids), at_once(4, Gate)),
    %% Two at a time do not share one, whichever contexts were used last.
    [begin
        [{ok, Pid} = py:eval(Context, ?PID) || {Context, P} <- lists:zip(Contexts, Pids), P =:= Pid],
        ?assertEqual(lists:usort(Pids), at_once(2, Gate))
     end || Pid <- lists:usort(Pids)].

%% Where so many calls at the same time run.
at_once(Count, Gate) ->
    Refs = [py:spawn_call(builtins, eval, [<<"(__import__('erlang').call('gate'), __import__('os').getpid())">>]) || _ <- lists:seq(1, Count)],
    [Function ! open || Function <- [Gate() || _ <- Refs]],
    lists:sort([begin {ok, {1, Pid}} = py:await(Ref), Pid end || Ref <- Refs]).

%% What a process has defined is where its calls go, although the other host is idle.
two_hosts_namespaces(_) ->
    Me = self(),
    Workers = [spawn_link(fun() ->
        ok = py:exec(["mine = ", integer_to_list(N)]),
        Me ! {self(), [py:eval("mine") || _ <- lists:seq(1, 20)]}
    end) || N <- lists:seq(1, 8)],
    [receive {Worker, Got} -> ?assertEqual([{ok, N}], lists:usort(Got)) end || {N, Worker} <- lists:zip(lists:seq(1, 8), Workers)].

two_hosts_one_dies(_) ->
    {ok, [Context | _]} = py:start_contexts(),
    {ok, Pid} = py:eval(Context, ?PID),
    kill(Pid),
    %% The other one does all there is to do; a call that had reached the first may fail, but none hangs.
    [case py:call(os, getpid, []) of {ok, _} -> ok; {error, {host_down, _}} -> ok end || _ <- lists:seq(1, 50)],
    eventually(fun() -> {ok, Stats} = py:stats(), maps:with([hosts, contexts], Stats) =:= #{hosts => 2, contexts => 4} end),
    {ok, Contexts} = py:start_contexts(),
    Pids = lists:usort([begin {ok, P} = py:eval(C, ?PID), P end || C <- Contexts]),
    ?assertMatch([_, _], Pids),
    ?assertNot(lists:member(Pid, Pids)).

two_hosts_gc(_) ->
    {ok, Contexts} = py:start_contexts(),
    %% Something to collect in each.
    [ok = py:exec(Context, "import gc\ngc.disable()\nfor _ in range(10):\n    a = []\n    a.append(a)\ndel a\n") || Context <- Contexts],
    {ok, Collected} = py:gc(),
    ?assert(Collected >= 40),
    [ok = py:exec(Context, "gc.enable()") || Context <- Contexts].

%% A request whose context turns out to be gone before anything was sent is done by another.
unsent_goes_elsewhere(_) ->
    {ok, [Context | _]} = py:start_contexts(),
    {ok, Pid} = py:eval(Context, ?PID),
    %% The last one used is the first to be used again. Suspended, it does not see its connection end.
    ok = sys:suspend(Context),
    kill(Pid),
    eventually(fun() -> not filelib:is_dir("/proc/" ++ integer_to_list(Pid)) end),
    Before = message_count(Context),
    Ref = py:spawn_call(os, getpid, []),
    eventually(fun() -> message_count(Context) > Before end),
    ok = sys:resume(Context),
    {ok, Other} = py:await(Ref),
    ?assertNotEqual(Pid, Other),
    %% Where only this one will do, the call fails; with no_such_context once its end is known.
    {error, {host_down, _}} = py:eval(Context, "1"),
    {error, {host_down, no_such_context}} = py:eval(Context, "1").

%% Helpers

message_count(Process) ->
    {message_queue_len, Count} = process_info(Process, message_queue_len),
    Count.

tell_me() ->
    Me = self(),
    ok = py:register_function(tell_me, fun(Args) -> Me ! {told, Args}, none end).

%% A function that waits until it is told `open', and a way to know which process runs it.
gate() ->
    Me = self(),
    ok = py:register_function(gate, fun([]) -> Me ! {gate, self()}, receive open -> 1 end end),
    fun() -> receive {gate, Function} -> Function end end.

%% This process gets what is logged by others than the test itself.
listen() ->
    ok = logger:add_handler(?MODULE, ?MODULE, #{level => all, config => self()}),
    ok = logger:set_primary_config(level, all).

log(#{level := Level, meta := Meta} = Event, #{config := Pid}) ->
    case Meta of
        #{python_logger := _} -> Pid ! {logged, Event};
        _ when Level =:= warning -> Pid ! {logged, Event};
        _ -> ok
    end.

log(Code) ->
    ok = py:exec(["import logging\n", Code]).

logged() -> receive {logged, Event} -> Event end.

logged(Timeout) -> receive {logged, Event} -> Event after Timeout -> none end.

text({string, Text}) -> unicode:characters_to_list(Text);
text({Format, Args}) -> lists:flatten(io_lib:format(Format, Args)).

kill(Pid) ->
    "" = os:cmd("kill -9 " ++ integer_to_list(Pid)).

empty_mailbox() ->
    receive Message -> ct:fail({unexpected, Message}) after 0 -> ok end.

idle(Count) ->
    eventually(fun() -> {ok, #{contexts_idle := N}} = py:stats(), N =:= Count end).

%% True in the end, or the test case's own limit says that it never was.
eventually(Condition) ->
    case Condition() of
        true -> ok;
        false -> timer:sleep(5), eventually(Condition)
    end.
