%% What ends before its time: timeouts, interrupts, callers that die, and calls that could wait for ever. With a real host.
-module(py_timeout_SUITE).

-include_lib("stdlib/include/assert.hrl").

-compile([export_all, nowarn_export_all]).

suite() -> [{timetrap, {seconds, 30}}].

all() ->
    [
        timeout_on_time, timeout_interrupts, timeout_keeps_the_context, timeout_at_once, timeout_before_it_begins, timeout_in_context, timeout_in_function,
        timeout_ignored, late_reply, answer_and_timeout_race,
        interrupt, interrupt_idle, interrupt_waiting, interrupt_waiting_briefly,
        interrupt_again, interrupt_caught, interrupt_other_process, interrupt_in_c, interrupt_not_answered, cancel_not_answered,
        caller_dies, caller_dies_in_function,
        third_process, third_process_at_the_limit, third_processes_in_turn, quick_functions_at_the_limit,
        sleepers_at_the_limit, waiters_at_the_limit, server_in_between, one_will_end, nobody_seen_to_wait,
        deadlock_never_told, calls_are_no_deadlock, deadlock_on_one_host
    ].

init_per_testcase(Case, Config) ->
    py_client:start_app([{hosts, case Case of deadlock_on_one_host -> 2; _ -> 1 end} | settings(Case)]),
    {ok, _} = py:start_contexts(),
    Config.

end_per_testcase(_Case, _Config) ->
    py_client:stop_app().

settings(third_process) -> [{contexts, 1}, {max_contexts, 6}];
settings(third_process_at_the_limit) -> [{contexts, 1}, {max_contexts, 3}, {deadlock_after, 200}];
settings(third_processes_in_turn) -> [{contexts, 1}, {max_contexts, 2}, {deadlock_after, 500}];
settings(quick_functions_at_the_limit) -> [{contexts, 2}, {max_contexts, 2}];
settings(sleepers_at_the_limit) -> [{contexts, 2}, {max_contexts, 2}];
settings(waiters_at_the_limit) -> [{contexts, 2}, {max_contexts, 2}];
settings(one_will_end) -> [{contexts, 2}, {max_contexts, 2}];
settings(Case) when Case =:= server_in_between; Case =:= nobody_seen_to_wait; Case =:= calls_are_no_deadlock ->
    [{contexts, 1}, {max_contexts, 1}, {deadlock_after, 200}];
settings(deadlock_never_told) -> [{contexts, 1}, {max_contexts, 1}, {deadlock_after, infinity}];
settings(deadlock_on_one_host) -> [{contexts, 1}, {max_contexts, 2}, {deadlock_after, 200}];
settings(_) -> [{contexts, 1}, {max_contexts, 1}].

-define(FOREVER, "[0 for _ in iter(int, 1)]").

%% Timeouts

timeout_on_time(_) ->
    [begin
        {Time, {error, timeout}} = timer:tc(fun() -> py:eval(?FOREVER, #{}, 50) end),
        ?assert(Time >= 50000),
        ?assert(Time < 250000)
     end || _ <- lists:seq(1, 5)].

%% The Python code sees it, and cleans up.
timeout_interrupts(_) ->
    tell_me(),
    ok = py:exec("import erlang, time\n"
                 "def work():\n"
                 "    try:\n"
                 "        while True: time.sleep(0.001)\n"
                 "    except Exception: erlang.call('tell_me', 'Exception')\n"
                 "    except BaseException as e: erlang.call('tell_me', type(e).__name__, isinstance(e, erlang.Interrupted))\n"),
    {error, timeout} = py:call('__main__', work, [], #{}, 30),
    receive {told, Told} -> ?assertEqual([<<"Interrupted">>, true], Told) end.

timeout_keeps_the_context(_) ->
    Context = py:context(),
    {ok, Ident} = py:eval("__import__('threading').get_ident()"),
    [begin
        {error, timeout} = py:eval(?FOREVER, #{}, 20),
        {ok, Ident} = py:eval("__import__('threading').get_ident()")
     end || _ <- lists:seq(1, 10)],
    ?assertEqual(Context, py:context()).

timeout_at_once(_) ->
    Context = py:context(),
    [{error, timeout} = py:eval(?FOREVER, #{}, N rem 2) || N <- lists:seq(1, 20)],
    %% Before the context would be given up.
    {ok, 1} = py:eval("1", #{}, 3000),
    ?assertEqual(Context, py:context()).

%% Python has not begun the call when it is told to stop: it is told again.
timeout_before_it_begins(_) ->
    Context = py:context(),
    ok = sys:suspend(Context),
    {error, timeout} = py:eval(?FOREVER, #{}, 0),
    %% The host does what it is asked one after the other: by now it has said that there is nothing to stop.
    ok = py:configure_logging(#{level => critical}),
    ok = sys:resume(Context),
    {ok, 1} = py:eval("1", #{}, 3000),
    ?assertEqual(Context, py:context()).

timeout_in_context(_) ->
    Context = py:context(),
    {error, timeout} = py:eval(Context, ?FOREVER, #{}, 20),
    {error, timeout} = py:call(Context, builtins, eval, [<<?FOREVER>>], #{}, 20),
    {ok, 1} = py:eval(Context, "1").

%% Python waits for Erlang: the function goes with the call, and the context stays.
timeout_in_function(_) ->
    Me = self(),
    ok = py:register_function(hold, fun([]) -> Me ! {held, self()}, receive after infinity -> ok end end),
    Context = py:context(),
    {error, timeout} = py:eval(Context, "__import__('erlang').call('hold')", #{}, 50),
    Function = receive {held, Pid} -> Pid end,
    Monitor = monitor(process, Function),
    {Time, {ok, 1}} = timer:tc(fun() -> py:eval("1") end),
    ?assert(Time < 2000000),
    receive {'DOWN', Monitor, process, _, _} -> ok end,
    {ok, 2} = py:eval(Context, "1 + 1"),
    %% Nothing of the function that was killed is in the way of the next one.
    ok = py:register_function(add_one, fun([X]) -> X + 1 end),
    {ok, 3} = py:eval(Context, "__import__('erlang').call('add_one', 2)").

%% Code that will not stop is left alone, and another context takes its place.
timeout_ignored(_) ->
    ok = py:exec("import time\n"
                 "def stubborn():\n"
                 "    while True:\n"
                 "        try:\n"
                 "            while True: time.sleep(0.001)\n"
                 "        except BaseException: pass\n"),
    Context = py:context(),
    {error, timeout} = py:call('__main__', stubborn, [], #{}, 20),
    {ok, 1} = py:eval("1"),
    ?assertNotEqual(Context, py:context()).

late_reply(_) ->
    ok = py:exec("import time\n"
                 "def late():\n"
                 "    try:\n"
                 "        while True: time.sleep(0.001)\n"
                 "    except BaseException: return 'late'\n"),
    {error, timeout} = py:call('__main__', late, [], #{}, 20),
    {ok, 1} = py:eval("1"),
    receive Message -> ct:fail({unexpected, Message}) after 0 -> ok end.

%% Answers that come about when time runs out: an interrupt must not reach the next call.
answer_and_timeout_race(_) ->
    ok = py:exec("import time\ndef nap(s):\n    end = time.perf_counter() + s\n    while time.perf_counter() < end: pass\n    return s\n"),
    Context = py:context(),
    [begin
        case py:call('__main__', nap, [0.0045 + N * 0.00001], #{}, 5) of
            {ok, _} -> ok;
            {error, timeout} -> ok
        end,
        {ok, N} = py:eval("n", #{n => N})
     end || N <- lists:seq(1, 200)],
    ?assertEqual(Context, py:context()).

%% Interrupts

interrupt(_) ->
    Context = py:context(),
    Ref = begun("while True: pass"),
    {Time, ok} = timer:tc(fun() -> py:interrupt(Context) end),
    ?assert(Time < 500000),
    {error, interrupted} = py:await(Ref),
    {ok, 1} = py:eval(Context, "1").

interrupt_idle(_) ->
    Context = py:context(),
    not_running = py:interrupt(Context),
    {ok, 1} = py:eval(Context, "1"),
    not_running = py:interrupt(Context),
    not_running = py:interrupt(self()),
    {ok, [1]} = py:eval("[1 for _ in range(1)]").

%% Also while the Python code waits for a function.
interrupt_waiting(_) ->
    Me = self(),
    Context = py:context(),
    ok = py:register_function(hold, fun([]) -> Me ! {held, self()}, receive after infinity -> ok end end),
    Ref = py:spawn_call(erlang, call, [<<"hold">>]),
    receive {held, _} -> ok end,
    {Time, {error, interrupted}} = timer:tc(fun() -> ok = py:interrupt(Context), py:await(Ref) end),
    ?assert(Time < 500000),
    {ok, 1} = py:eval("1").

%% A function that ends by itself leaves the context as it is.
interrupt_waiting_briefly(_) ->
    Me = self(),
    Context = py:context(),
    ok = py:register_function(hold, fun([]) -> Me ! {held, self()}, receive open -> 1 end end),
    [begin
        Ref = py:spawn_call(erlang, call, [<<"hold">>]),
        Function = receive {held, Pid} -> Pid end,
        ok = py:interrupt(Context),
        Function ! open,
        {error, interrupted} = py:await(Ref),
        {ok, N} = py:eval("n", #{n => N})
     end || N <- lists:seq(1, 5)],
    ?assertEqual(Context, py:context()).

interrupt_again(_) ->
    Context = py:context(),
    [begin
        Ref = begun("while True: pass"),
        ok = py:interrupt(Context),
        {error, interrupted} = py:await(Ref)
     end || _ <- lists:seq(1, 20)],
    ?assertEqual(Context, py:context()).

interrupt_caught(_) ->
    Ref = begun("while True: time.sleep(0.001)", "except KeyboardInterrupt: return 'caught'"),
    ok = py:interrupt(py:context()),
    {ok, <<"caught">>} = py:await(Ref).

interrupt_other_process(_) ->
    Context = py:context(),
    Ref = begun("while True: pass"),
    Me = self(),
    [spawn_link(fun() -> Me ! {answer, py:interrupt(Context)} end) || _ <- lists:seq(1, 5)],
    ?assert(lists:member(ok, [receive {answer, Answer} -> Answer end || _ <- lists:seq(1, 5)])),
    {error, interrupted} = py:await(Ref),
    {ok, 1} = py:eval("1").

%% The interrupt would strike after the C code: the caller hears before, and the context is
%% replaced. The names stay.
interrupt_in_c(_) ->
    Context = py:context(),
    tell_me(),
    %% An interrupt just before the sleep is caught.
    ok = py:exec("import erlang, time\n"
                 "name = 'stays'\n"
                 "def work():\n"
                 "    while True:\n"
                 "        try: erlang.call('tell_me', 'begun') or time.sleep(60)\n"
                 "        except erlang.Interrupted: pass\n"),
    Ref = py:spawn_call('__main__', work, []),
    receive {told, [<<"begun">>]} -> ok end,
    %% A call for this very context is told, too.
    Pinned = py:spawn_call(Context, builtins, len, [[]]),
    {Time, {error, interrupted}} = timer:tc(fun() -> ok = py:interrupt(Context), py:await(Ref, infinity) end),
    ?assert(Time >= 4500000 andalso Time < 7000000, Time),
    {error, {host_down, given_up}} = py:await(Pinned),
    {ok, <<"stays">>} = py:eval("name"),
    ?assertNotEqual(Context, py:context()).

%% The host does not answer: the same.
interrupt_not_answered(_) ->
    Context = py:context(),
    [Control] = py_contexts:controls(),
    Ref = begun("while True: time.sleep(0.001)"),
    ok = sys:suspend(Control),
    {Time, {error, interrupted}} = timer:tc(fun() -> ok = py:interrupt(Context), py:await(Ref, infinity) end),
    ?assert(Time < 7000000, Time),
    ok = sys:resume(Control),
    {ok, 1} = py:eval("1").

%% Nor when the call is over by itself: its context is replaced.
cancel_not_answered(_) ->
    Me = self(),
    Context = py:context(),
    Monitor = monitor(process, Context),
    [Control] = py_contexts:controls(),
    ok = py:register_function(hold, fun([]) -> Me ! {held, self()}, receive open -> 1 end end),
    Caller = spawn(fun() -> py:call(erlang, call, [<<"hold">>]) end),
    Function = receive {held, Pid} -> Pid end,
    ok = sys:suspend(Control),
    exit(Caller, kill),
    Function ! open,
    receive {'DOWN', Monitor, process, Context, Reason} -> ?assertEqual({shutdown, given_up}, Reason) end,
    ok = sys:resume(Control),
    {ok, 1} = py:eval("1").

%% Callers that die

caller_dies(_) ->
    tell_me(),
    Context = py:context(),
    {Caller, Monitor} = spawn_monitor(fun() ->
        py:exec("import erlang, time\n"
                "try:\n"
                "    erlang.call('tell_me', 'begun')\n"
                "    while True: time.sleep(0.001)\n"
                "except erlang.Interrupted: erlang.call('tell_me', 'interrupted')\n")
    end),
    receive {told, [<<"begun">>]} -> exit(Caller, kill) end,
    receive {'DOWN', Monitor, _, _, killed} -> ok end,
    receive {told, [<<"interrupted">>]} -> ok end,
    {ok, 1} = py:eval(Context, "1").

caller_dies_in_function(_) ->
    Me = self(),
    ok = py:register_function(hold, fun([]) -> Me ! {held, self()}, receive after infinity -> ok end end),
    {Caller, Monitor} = spawn_monitor(fun() -> py:eval("__import__('erlang').call('hold')") end),
    receive {held, _} -> exit(Caller, kill) end,
    receive {'DOWN', Monitor, _, _, killed} -> ok end,
    {ok, 1} = py:eval("1", #{}, 3000).

%% Third processes: a function that waits for another process, which calls Python, and so on. Each level takes a context.

third_process(_) ->
    deep(),
    {ok, 5} = py:call(erlang, call, [<<"deep">>, 5]),
    {ok, #{contexts := 6}} = py:stats(),
    {ok, 1} = py:eval("1").

third_process_at_the_limit(_) ->
    deep(),
    {Time, {ok, Result}} = timer:tc(fun() -> py:call(erlang, call, [<<"deep">>, 5]) end),
    ?assertEqual({<<"error">>, {<<"max_contexts">>, 3}}, Result),
    ?assert(Time < 5000000),
    %% Nothing of it is left.
    {ok, 2} = py:call(erlang, call, [<<"deep">>, 2]),
    {ok, #{contexts := 3, contexts_idle := 3, calls_waiting := 0}} = py:stats().

%% One level deep each, more of them than there are contexts: some wait for their turn or are told of the limit, none hangs.
third_processes_in_turn(_) ->
    deep(),
    Refs = [py:spawn_call(erlang, call, [<<"deep">>, 1]) || _ <- lists:seq(1, 10)],
    Results = [py:await(Ref) || Ref <- Refs],
    [?assert(lists:member(Result, [{ok, 1}, {ok, {<<"error">>, {<<"max_contexts">>, 2}}}, {error, {max_contexts, 2}}])) || Result <- Results],
    {ok, 1} = py:eval("1").

%% Contexts that are merely busy, with functions that end, are waited for.
quick_functions_at_the_limit(_) ->
    ok = py:register_function(quick, fun([]) -> timer:sleep(20), 1 end),
    Refs = [py:spawn_call(erlang, call, [<<"quick">>]) || _ <- lists:seq(1, 40)],
    ?assertEqual([{ok, 1}], lists:usort([py:await(Ref) || Ref <- Refs])).

%% Functions that take their time, however long: whoever waits for a context gets one.
sleepers_at_the_limit(_) ->
    ok = py:register_function(sleeper, fun([]) -> timer:sleep(400), 1 end),
    Refs = [py:spawn_call(erlang, call, [<<"sleeper">>]) || _ <- lists:seq(1, 6)],
    ?assertEqual([{ok, 1}], lists:usort([py:await(Ref) || Ref <- Refs])).

%% The same with functions that wait for a message, and for a server that takes its time; both have to do with nobody who wants a context.
waiters_at_the_limit(_) ->
    {Slow, Monitor} = spawn_monitor(fun Serve() -> receive {'$gen_call', From, ask} -> timer:sleep(400), gen:reply(From, 1), Serve() end end),
    ok = py:register_function(waiter, fun([N]) -> receive after 400 -> N end end),
    ok = py:register_function(caller, fun([]) -> gen_server:call(Slow, ask, 20000) end),
    Refs = [py:spawn_call(erlang, call, [Function | Args]) || {Function, Args} <- [{<<"caller">>, []}, {<<"waiter">>, [1]}, {<<"caller">>, []}, {<<"waiter">>, [1]}, {<<"waiter">>, [1]}]],
    ?assertEqual([{ok, 1}], lists:usort([py:await(Ref) || Ref <- Refs])),
    demonitor(Monitor, [flush]),
    exit(Slow, kill).

%% A function calls a server, and the server Python. All waiting calls are refused: nobody can tell
%% for which of them the function waits.
server_in_between(_) ->
    tell_me(),
    Server = spawn_link(fun Serve() -> receive {'$gen_call', From, ask} -> gen:reply(From, py:eval("1 + 1")), Serve() end end),
    ok = py:register_function(through, fun([]) -> gen_server:call(Server, ask, 20000) end),
    Ref = py:spawn_call(builtins, eval, [<<"[__import__('erlang').call(*a) for a in [('tell_me', 'begun'), ('through',)]][1]">>]),
    receive {told, [<<"begun">>]} -> ok end,
    Me = self(),
    _ = spawn_link(fun() -> Me ! {bystander, py:eval("41 + 1")} end),
    {Time, {ok, {<<"error">>, {<<"max_contexts">>, 1}}}} = timer:tc(fun() -> py:await(Ref) end),
    ?assert(Time < 5000000),
    receive {bystander, Answer} -> ?assert(lists:member(Answer, [{ok, 42}, {error, {max_contexts, 1}}])) end,
    {ok, 42} = py:eval("41 + 1"),
    unlink(Server),
    exit(Server, kill).

%% One function waits for a caller, the other for something else: the caller gets its context.
one_will_end(_) ->
    tell_me(),
    ok = py:register_function(waiter, fun([]) -> receive after 600 -> 1 end end),
    ok = py:register_function(deep, fun([]) ->
        Me = self(),
        spawn_link(fun() -> Me ! {deeper, py:eval("1 + 1")} end),
        receive {deeper, {ok, N}} -> N end
    end),
    Other = py:spawn_call(builtins, eval, [<<"[__import__('erlang').call(n, *a) for n, a in [('tell_me', ['begun']), ('waiter', [])]][1]">>]),
    receive {told, [<<"begun">>]} -> ok end,
    {ok, 2} = py:call(erlang, call, [<<"deep">>]),
    {ok, 1} = py:await(Other).

%% However the function waits.
nobody_seen_to_wait(_) ->
    unseen(infinity),
    {Time, {ok, {<<"error">>, {<<"max_contexts">>, 1}}}} = timer:tc(fun() -> py:call(erlang, call, [<<"unseen">>], #{}, 25000) end),
    ?assert(Time < 10000000).

%% Then the time of the waiting call is the only limit.
deadlock_never_told(_) ->
    unseen(500),
    {ok, {<<"error">>, <<"timeout">>}} = py:call(erlang, call, [<<"unseen">>], #{}, 25000).

%% Python is at work while it calls function after function, however long.
calls_are_no_deadlock(_) ->
    tell_me(),
    ok = py:register_function(quick, fun([]) -> receive after 20 -> 1 end end),
    ok = py:exec("import erlang\ndef work():\n    erlang.call('tell_me', 'begun')\n    return sum(erlang.call('quick') for _ in range(60))\n"),
    Ref = py:spawn_call('__main__', work, []),
    receive {told, [<<"begun">>]} -> ok end,
    {ok, 42} = py:eval("41 + 1"),
    {ok, 60} = py:await(Ref).

%% Calls for one host's names are refused when this host's contexts are stuck, the other host idle.
deadlock_on_one_host(_) ->
    unseen(infinity),
    ok = py:exec("import erlang"),
    {ok, {<<"error">>, {<<"max_contexts">>, 2}}} = py:eval("erlang.call('unseen')", #{}, 25000).

%% A function waits for a process in need of the caller's namespace.
unseen(Timeout) ->
    ok = py:register_function(unseen, fun([]) ->
        Me = self(),
        Space = case py_conversation:inside() of {true, Owner} -> Owner end,
        _ = spawn(fun() -> Me ! {answer, py_request:perform(any, py_request:eval("1 + 1", #{}), Space, Timeout)} end),
        receive {answer, Answer} -> Answer end
    end).

%% Helpers

tell_me() ->
    Me = self(),
    ok = py:register_function(tell_me, fun(Args) -> Me ! {told, Args}, none end).

begun(Loop) ->
    begun(Loop, "finally: pass").

%% Calls a function that runs the loop; returns when it is at it.
begun(Loop, Ending) ->
    tell_me(),
    ok = py:exec(["import erlang, time\n"
                  "def work():\n"
                  "    try:\n"
                  "        erlang.call('tell_me', 'begun')\n"
                  "        ", Loop, "\n"
                  "    ", Ending, "\n"]),
    Ref = py:spawn_call('__main__', work, []),
    receive {told, [<<"begun">>]} -> Ref end.

%% deep(N) waits for a process that calls Python, which calls deep(N - 1).
deep() ->
    ok = py:register_function(deep, fun
        ([0]) ->
            0;
        ([N]) ->
            Me = self(),
            spawn_link(fun() -> Me ! {deeper, py:call(erlang, call, [<<"deep">>, N - 1])} end),
            receive
                {deeper, {ok, M}} when is_integer(M) -> M + 1;
                {deeper, {ok, Error}} -> Error;
                {deeper, Error} -> Error
            end
    end).
