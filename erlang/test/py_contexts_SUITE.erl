%% The process py_contexts in trouble: lost hosts, stray messages, tokens, a stopped application.
-module(py_contexts_SUITE).

-include_lib("stdlib/include/assert.hrl").

-compile([export_all, nowarn_export_all]).

suite() -> [{timetrap, {seconds, 30}}].

all() ->
    [
        host_process_replaced, host_ends, contexts_killed, two_hosts_one_lost,
        strays, forged_host, token_of_a_lost_host, token_that_timed_out,
        not_started, not_started_compatible, stopped_in_mid_call, stopped_before_it_begins, contexts_restart
    ].

init_per_testcase(Case, Config) ->
    py_client:start_app(settings(Case)),
    {ok, _} = py:start_contexts(),
    Config.

end_per_testcase(_Case, _Config) ->
    _ = logger:remove_handler(?MODULE),
    py_client:stop_app().

settings(two_hosts_one_lost) -> [{hosts, 2}, {contexts, 1}, {max_contexts, 2}];
settings(_) -> [{hosts, 1}, {contexts, 1}, {max_contexts, 1}].

%% Lost hosts. A call waits for the host with its caller's names.

host_process_replaced(_) ->
    Waiting = pinned(1),
    exit(whereis(py_host_sup), kill),
    ?assertEqual([{ok, 2}], answers(Waiting)).

host_ends(_) ->
    Waiting = pinned(3),
    {ok, Pid} = py:state_fetch(os_pid),
    "" = os:cmd("kill -9 " ++ integer_to_list(Pid)),
    ?assertEqual([{ok, 2}, {ok, 2}, {ok, 2}], answers(Waiting)),
    %% The caller hears of it, although the function waits on.
    receive {py_response, _Ref, Answer} -> ?assertMatch({error, {host_down, _}}, Answer) end.

%% The hosts go with it. Its callers hear at once, and the next ones are served.
contexts_killed(_) ->
    Waiting = pinned(1),
    exit(whereis(py_contexts), kill),
    ?assertEqual([{error, {host_down, killed}}], answers(Waiting)),
    eventually(fun() -> py:eval("1 + 1") =:= {ok, 2} end).

%% The other host serves them, at once.
two_hosts_one_lost(_) ->
    Me = self(),
    ok = py:register_function(hold, fun([]) -> Me ! {held, self()}, receive open -> 1 end end),
    Space = fun() ->
        ok = py:exec("import os"),
        {ok, Pid} = py:eval("os.getpid()"),
        Pid
    end,
    %% Both contexts are at work; two processes have names on the first host.
    Caller = fun() ->
        OsPid = Space(),
        Me ! {self(), OsPid},
        receive go -> ok end,
        Me ! {answer, py:eval("1 + 1", #{}, 20000)}
    end,
    Callers = [spawn_link(Caller) || _ <- [1, 2, 3, 4]],
    Places = [receive {Pid, OsPid} -> {OsPid, Pid} end || Pid <- Callers],
    _ = [py:spawn_call(erlang, call, [<<"hold">>]) || _ <- [1, 2]],
    Held = [receive {held, Function} -> Function end || _ <- [1, 2]],
    [{OsPid, _} | _] = Places,
    [Pid ! go || Pid <- Callers],
    eventually(fun() -> {ok, #{calls_waiting := N}} = py:stats(), N =:= 4 end),
    "" = os:cmd("kill -9 " ++ integer_to_list(OsPid)),
    [Function ! open || Function <- Held],
    ?assertEqual([{ok, 2}], lists:usort([receive {answer, Answer} -> Answer end || _ <- Callers])).

%% Callers with names on the only host; each waits for the one context, and this for a function.
pinned(Count) ->
    Me = self(),
    ok = py:register_function(hold, fun([]) -> Me ! held, receive after infinity -> ok end end),
    Callers = [spawn_link(fun() ->
        ok = py:exec("import os; x = 1"),
        {ok, Pid} = py:eval("os.getpid()"),
        ok = py:state_store(os_pid, Pid),
        Me ! {ready, self()},
        receive go -> ok end,
        Me ! {self(), py:eval("1 + 1", #{}, 20000)}
    end) || _ <- lists:seq(1, Count)],
    [receive {ready, Caller} -> ok end || Caller <- Callers],
    _ = py:spawn_call(erlang, call, [<<"hold">>]),
    receive held -> ok end,
    [Caller ! go || Caller <- Callers],
    eventually(fun() -> {ok, #{calls_waiting := N}} = py:stats(), N =:= Count end),
    Callers.

answers(Callers) ->
    [receive {Caller, Answer} -> Answer end || Caller <- Callers].

%% Strays

strays(_) ->
    Server = whereis(py_contexts),
    Job = #{where => any, space => none, keep => false, payload => <<>>},
    Key = make_ref(),
    [?assertEqual({Call, {error, unknown_call}}, {Call, gen_server:call(py_contexts, Call)}) || Call <- [
        hello, {run, Key}, {run, Key, #{}}, {run, Key, x}, {run, x, Job}, {run, Key, Job#{where => here}}, {run, Key, Job#{where => {host, x}}},
        {run, Key, Job#{keep => 1}}, {run, Key, Job#{payload => x}}, {run, Key, Job#{owner => x}}, {run, Key, Job#{where => {context, 1}}},
        {interrupt_within, self(), 0, self()}, {interrupt_within, self(), 1, x}, {start, 0}, {start, x}, {list, some}
    ]],
    ?assertEqual(false, gen_server:call(py_contexts, {interrupt, x})),
    [gen_server:cast(py_contexts, Message) || Message <- [hello, {cancel, x}, {host, x, up, none}, {host, self(), up, none}, {host, self(), up, x}]],
    [py_contexts ! Message || Message <- [
        hello, {'$gen_call', x, hello}, {'$gen_call', {x, y}, stop}, {'$gen_call', {self(), x}, hello}, {'$gen_cast', x}, look,
        {py_done, x}, {py_joined, x, y, z}, {py_joined, <<"x">>, self(), #{}}, {{grow, x}, y}, {{grow, x}, {ok, y}}, {join_timeout, x}, {drop, x},
        {{interrupt, x}, y}, {{interrupt, self()}, {ok, y}}, {{interrupt_within, x}, y}, {{interrupt_within, {self(), x}}, {ok, y}}, {insist, x, y}, {give_up, x, y}, {replace, x}, replace,
        {'DOWN', x, process, y, z}, {'DOWN', x, y}, {{owner_down, x}, y, process, z, reason}
    ]],
    ?assertEqual({ok, 2}, py:eval("1 + 1")),
    ?assertEqual(Server, whereis(py_contexts)).

%% Nor do messages in the name of a host; and a forged context costs no other process its life.
forged_host(_) ->
    Server = whereis(py_contexts),
    Host = spawn_link(fun() -> receive stop -> ok end end),
    gen_server:cast(py_contexts, {host, Host, {failed, oops}, none}),
    gen_server:cast(py_contexts, {host, Host, x, none}),
    py_contexts ! {py_joined, <<"context-none">>, Host, #{}},
    ?assertEqual({ok, 2}, py:eval("1 + 1")),
    Host ! stop,
    ?assertEqual({ok, 2}, py:eval("1 + 1")),
    ?assertEqual(Server, whereis(py_contexts)).

%% Tokens

%% The host has not heard of it yet when it ends.
token_of_a_lost_host(_) ->
    {ok, Pid} = py:eval("__import__('os').getpid()"),
    [Control] = py_contexts:controls(),
    ok = sys:suspend(Control),
    Forgotten = forgotten(),
    exit(py:context(), kill),
    Token = receive {expected, Asked} -> Asked end,
    "" = os:cmd("kill -9 " ++ integer_to_list(Pid)),
    Forgotten(Token).

%% A context may not connect after its time.
token_that_timed_out(_) ->
    [Control] = py_contexts:controls(),
    ok = sys:suspend(Control),
    Forgotten = forgotten(),
    exit(py:context(), kill),
    Token = receive {expected, Asked} -> Asked end,
    py_contexts ! {join_timeout, Token},
    Forgotten(Token),
    ok = sys:resume(Control),
    {ok, 2} = py:eval("1 + 1").

%% Reports each new token; the fun returns once its token is given up.
forgotten() ->
    Me = self(),
    Tracer = spawn_link(fun() -> trace(Me) end),
    1 = erlang:trace(whereis(py_contexts), true, [call, {tracer, Tracer}]),
    1 = erlang:trace_pattern({py_coordinator, expect, 1}, [{'_', [], [{return_trace}]}], [global]),
    1 = erlang:trace_pattern({py_coordinator, forget, 1}, true, [global]),
    fun(Token) -> receive {forgotten, Token} -> ok end end.

trace(Me) ->
    receive
        {trace, _, return_from, {py_coordinator, expect, 1}, Token} -> Me ! {expected, Token};
        {trace, _, call, {py_coordinator, forget, [Token]}} -> Me ! {forgotten, Token};
        _ -> ok
    end,
    trace(Me).

%% Without the application

%% Every function says so, and at once.
not_started(_) ->
    Context = py:context(),
    ok = application:stop(erlang_python),
    Calls = [
        {register_function, [f, fun(_) -> 1 end]}, {register_function, [f, lists, reverse]}, {unregister_function, [f]},
        {call, [math, sqrt, [4]]}, {call, [math, sqrt, [4], #{}]}, {call, [math, sqrt, [4], #{}, 1000]},
        {call, [Context, math, sqrt, [4]]}, {call, [Context, math, sqrt, [4], #{}]}, {call, [Context, math, sqrt, [4], #{}, 1000]},
        {eval, ["1"]}, {eval, ["1", #{}]}, {eval, ["1", #{}, 1000]}, {eval, [Context, "1"]}, {eval, [Context, "1", #{}]}, {eval, [Context, "1", #{}, 1000]},
        {exec, ["1"]}, {exec, [Context, "1"]}, {version, []},
        {cast, [math, sqrt, [4]]}, {cast, [math, sqrt, [4], #{}]}, {cast, [Context, math, sqrt, [4]]}, {cast, [Context, math, sqrt, [4], #{}]},
        {spawn_call, [math, sqrt, [4]]}, {spawn_call, [math, sqrt, [4], #{}]}, {spawn_call, [Context, math, sqrt, [4]]},
        {spawn_call, [Context, math, sqrt, [4], #{}]}, {await, [make_ref()]}, {await, [make_ref(), infinity]},
        {stream, [builtins, range, [4]]}, {stream, [builtins, range, [4], #{}]}, {stream_eval, ["[1]"]}, {stream_eval, ["[1]", #{}]},
        {stream_start, [builtins, range, [4]]}, {stream_start, [builtins, range, [4], #{}]}, {stream_cancel, [make_ref()]},
        {start_contexts, []}, {start_contexts, [1]}, {start_contexts, [#{contexts => 1}]}, {start_contexts, [#{}]}, {stop_contexts, []},
        {contexts_started, []}, {context, []}, {context, [1]}, {interrupt, [Context]},
        {state_fetch, [k]}, {state_store, [k, 1]}, {state_remove, [k]}, {state_keys, []}, {state_clear, []},
        {state_incr, [k]}, {state_incr, [k, 1]}, {state_decr, [k]}, {state_decr, [k, 1]},
        {stats, []}, {gc, []}, {gc, [0]}, {memory_stats, []}, {tracemalloc_start, []}, {tracemalloc_start, [1]}, {tracemalloc_stop, []},
        {configure_logging, []}, {configure_logging, [#{level => info}]}
    ],
    ?assertEqual([], lists:usort(py:module_info(exports)) -- [{module_info, 0}, {module_info, 1} | [{Name, length(Args)} || {Name, Args} <- Calls]]),
    [?assertEqual({Name, Args, {error, {not_started, erlang_python}}}, {Name, Args, said(py, Name, Args)}) || {Name, Args} <- Calls],
    %% A result in the mailbox is given out.
    Ref = make_ref(),
    self() ! {py_response, Ref, {ok, 1}},
    {ok, 1} = py:await(Ref),
    receive Message -> ct:fail({unexpected, Message}) after 0 -> ok end,
    undefined = application:get_env(erlang_python, python_logging).

not_started_compatible(_) ->
    Context = py:context(),
    ok = application:stop(erlang_python),
    Calls = [
        {py_context, call, [Context, math, sqrt, [4]]}, {py_context, call, [Context, math, sqrt, [4], #{}]},
        {py_context, call, [Context, math, sqrt, [4], #{}, 1000]}, {py_context, eval, [Context, "1"]}, {py_context, eval, [Context, "1", #{}]},
        {py_context, eval, [Context, "1", #{}, 1000]}, {py_context, exec, [Context, "1"]}, {py_context, interrupt, [Context]},
        {py_context_router, start, []}, {py_context_router, start, [#{contexts => 1}]}, {py_context_router, stop, []},
        {py_context_router, is_started, []}, {py_context_router, num_contexts, []}, {py_context_router, contexts, []},
        {py_context_router, get_context, []}, {py_context_router, get_context, [1]}
    ],
    [?assertEqual({Name, Args, {error, {not_started, erlang_python}}}, {Name, Args, said(Module, Name, Args)}) || {Module, Name, Args} <- Calls].

said(Module, Name, Args) ->
    try apply(Module, Name, Args) catch Class:Reason -> {Class, Reason} end.

%% All waiting callers hear of it.
stopped_in_mid_call(_) ->
    Me = self(),
    ok = py:register_function(hold, fun([]) -> Me ! held, receive after infinity -> ok end end),
    Ref = py:spawn_call(erlang, call, [<<"hold">>]),
    receive held -> ok end,
    Waits = py:spawn_call(math, sqrt, [4]),
    {ok, Stream} = py:stream_start(builtins, range, [4]),
    Caller = spawn_link(fun() -> Me ! {self(), said(py, eval, ["1", #{}, infinity])} end),
    Collector = spawn_link(fun() -> Me ! {self(), said(py, stream_eval, ["[1]"])} end),
    eventually(fun() -> {ok, #{calls_waiting := N}} = py:stats(), N =:= 4 end),
    ok = application:stop(erlang_python),
    [?assert(is_down(receive {py_response, R, Answer} -> Answer end)) || R <- [Ref, Waits]],
    receive {py_stream, Stream, End} -> ?assert(is_down(End)) end,
    [?assert(is_down(receive {Pid, Answer} -> Answer end)) || Pid <- [Caller, Collector]].

is_down({error, {host_down, _}}) -> true;
is_down({error, {not_started, erlang_python}}) -> true;
is_down(_) -> false.

%% The application is stopped between the call and its process.
stopped_before_it_begins(_) ->
    Me = self(),
    Stopping = spawn_link(fun() ->
        receive go -> ok end,
        ok = application:stop(erlang_python),
        Me ! stopped
    end),
    Stopping ! go,
    Refs = calls_until_stopped([]),
    [?assert(lists:member(element(1, receive {py_response, Ref, Answer} -> Answer end), [ok, error])) || Ref <- Refs].

calls_until_stopped(Refs) ->
    try py:spawn_call(math, sqrt, [4]) of
        Ref -> calls_until_stopped([Ref | Refs])
    catch
        error:{not_started, erlang_python} -> receive stopped -> Refs end
    end.

%% While the process is away the application still runs.
contexts_restart(_) ->
    {ok, 2} = py:eval("1 + 1"),
    ok = supervisor:terminate_child(py_sup, py_contexts),
    {error, {host_down, _}} = py:eval("1 + 1"),
    {error, {host_down, _}} = py:await(py:spawn_call(math, sqrt, [4])),
    {error, {host_down, _}} = py:start_contexts(),
    {ok, Stream} = py:stream_start(builtins, range, [4]),
    receive {py_stream, Stream, {error, {host_down, _}}} -> ok end,
    false = py:contexts_started(),
    not_running = py:interrupt(self()),
    ok = py:stop_contexts(),
    {ok, #{contexts := 0, hosts := 0}} = py:stats(),
    {error, {host_down, _}} = py:gc(),
    ok = py:configure_logging(),
    ok = py:state_store(k, 1).

%% True in the end, or the test case's own limit says that it never was.
eventually(Condition) ->
    case Condition() of
        true -> ok;
        false -> timer:sleep(5), eventually(Condition)
    end.
