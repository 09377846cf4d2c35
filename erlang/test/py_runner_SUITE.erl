%% Functions of a context run in processes of their own: whatever becomes of these, the context
%% stays. Its Python is played by the test.
-module(py_runner_SUITE).

-include_lib("stdlib/include/assert.hrl").

-compile([export_all, nowarn_export_all]).

suite() -> [{timetrap, {seconds, 30}}].

all() ->
    [
        served, nested, killed, killed_in_a_nested_call, killed_after_a_timeout, killed_while_the_inner_runs, all_killed,
        clears_its_dictionary, exits_normally, links_the_handler, unlinks_the_handler, sends_an_exit, traps_exits, cast_dies,
        interrupted, interrupted_in_a_nested_call, interrupted_before, interrupted_late, interrupted_twice, interrupted_trapping, interrupted_cast,
        interrupted_and_lost,
        answered_further_down, answered_further_down_in_a_thread, timeout_while_the_inner_runs, late_by_far,
        activity, stray_messages, status_while_it_runs, dismissed, connection_lost, shutdown
    ].

init_per_testcase(_Case, Config) ->
    ok = py_client:start_app([]),
    ok = py_peer:register(),
    Me = self(),
    ok = py:register_function(hold, fun([]) -> Me ! {held, self()}, receive {go, X} -> X end end),
    ok = py:register_function(ask, fun([Code, Timeout]) -> Me ! {asks, self()}, {error, said(py:eval(Code, #{}, Timeout))} end),
    %% Asks, and then waits.
    ok = py:register_function(ask_and_hold, fun([Code, Timeout]) ->
        Me ! {held, self()}, Me ! {said, py:eval(Code, #{}, Timeout)}, receive {go, X} -> X end end),
    Config.

end_per_testcase(_Case, _Config) ->
    py_client:stop_app().

said({error, Reason}) -> Reason;
said(Said) -> Said.

%% A context, and what it is told of at the handshake.
context() ->
    Token = py_coordinator:expect(context),
    Socket = py_client:connect(),
    {1, {erlpy, 1, Handler, _}} = py_client:hello(Socket, {erlpy, 1, {context, Token}, #{os_pid => 1}}),
    receive {py_joined, Token, Handler, Info} -> {Socket, Handler, Info} end.

%% The node calls it, and it calls a function.
at_work() ->
    {Socket, Handler, _} = context(),
    {Socket, Handler, request(Socket, Handler)}.

request(Socket, Handler) ->
    ok = py_handler:request(Handler, {message, self(), outcome}, self(), term_to_binary({version, []})),
    {2, Id, {version, []}} = py_client:recv(Socket),
    Id.

call(Socket, Id, Name, Args) -> py_client:send_frame(Socket, 2, Id, term_to_binary({Name, Args})).
answer(Socket, Id, Term) -> py_client:send_frame(Socket, 3, Id, term_to_binary(Term)).
fail(Socket, Id) -> py_client:send_frame(Socket, 4, Id, term_to_binary({python, <<"Interrupted">>, <<>>, []})).

held() -> receive {held, Runner} -> Runner end.

ended(Pid) ->
    Monitor = monitor(process, Pid),
    receive {'DOWN', Monitor, _, _, _} -> ok end.

%% Python ends the request, and both ends agree on everything: the next one goes through, with a
%% nested call in it.
fine(Socket, Handler, Request) ->
    answer(Socket, Request, done),
    receive {outcome, Outcome} -> ?assertEqual({ok, term_to_binary(done)}, Outcome) end,
    Next = request(Socket, Handler),
    call(Socket, 101, <<"ask">>, [<<"code">>, 5000]),
    {2, Nested, {eval, [_, <<"code">>, _]}} = py_client:recv(Socket),
    call(Socket, 102, <<"double_it">>, [21]),
    {3, 102, 42} = py_client:recv(Socket),
    answer(Socket, Nested, 7),
    {3, 101, {error, {ok, 7}}} = py_client:recv(Socket),
    receive {asks, _} -> ok end,
    answer(Socket, Next, done),
    receive {outcome, {ok, _}} -> ok end,
    receive Message -> ct:fail({left, Message}) after 0 -> ok end.

%% What ends by itself

served(_) ->
    {Socket, Handler, Request} = at_work(),
    call(Socket, 1, <<"hold">>, []),
    Runner = held(),
    ?assertNotEqual(Handler, Runner),
    Runner ! {go, <<"x">>},
    {3, 1, <<"x">>} = py_client:recv(Socket),
    ended(Runner),
    call(Socket, 2, <<"nope">>, []),
    {4, 2, {not_registered, <<"nope">>}} = py_client:recv(Socket),
    fine(Socket, Handler, Request).

nested(_) ->
    {Socket, Handler, Request} = at_work(),
    Space = self(),
    call(Socket, 1, <<"ask">>, [<<"one">>, 5000]),
    {2, Outer, {eval, [Space, <<"one">>, _]}} = py_client:recv(Socket),
    call(Socket, 2, <<"ask">>, [<<"two">>, 5000]),
    {2, Inner, {eval, [Space, <<"two">>, _]}} = py_client:recv(Socket),
    answer(Socket, Inner, 2),
    {3, 2, {error, {ok, 2}}} = py_client:recv(Socket),
    answer(Socket, Outer, 1),
    {3, 1, {error, {ok, 1}}} = py_client:recv(Socket),
    [receive {asks, _} -> ok end || _ <- [1, 2]],
    fine(Socket, Handler, Request).

%% Deaths

killed(_) ->
    {Socket, Handler, Request} = at_work(),
    call(Socket, 1, <<"hold">>, []),
    exit(held(), kill),
    {4, 1, {raised, exit, killed, <<"exit: killed", _/binary>>, []}} = py_client:recv(Socket),
    fine(Socket, Handler, Request).

%% Python is to end the call that nobody waits for first, and then hears of the death.
killed_in_a_nested_call(_) ->
    {Socket, Handler, Request} = at_work(),
    call(Socket, 1, <<"ask">>, [<<"code">>, infinity_ms()]),
    {2, Nested, {eval, _}} = py_client:recv(Socket),
    receive {asks, Runner} -> exit(Runner, boom), ended(Runner) end,
    call(Socket, 2, <<"double_it">>, [21]),
    {3, 2, 42} = py_client:recv(Socket),
    fail(Socket, Nested),
    {4, 1, {raised, exit, boom, <<"exit: boom">>, []}} = py_client:recv(Socket),
    fine(Socket, Handler, Request).

%% The one that timed out is outstanding still.
killed_after_a_timeout(_) ->
    {Socket, Handler, Request} = at_work(),
    call(Socket, 1, <<"ask_and_hold">>, [<<"code">>, 10]),
    {2, Nested, {eval, _}} = py_client:recv(Socket),
    receive {said, Said} -> ?assertEqual({error, timeout}, Said) end,
    exit(held(), kill),
    fail(Socket, Nested),
    {4, 1, {raised, exit, killed, _, _}} = py_client:recv(Socket),
    fine(Socket, Handler, Request).

killed_while_the_inner_runs(_) ->
    {Socket, Handler, Request} = at_work(),
    call(Socket, 1, <<"ask">>, [<<"code">>, infinity_ms()]),
    {2, Nested, {eval, _}} = py_client:recv(Socket),
    call(Socket, 2, <<"hold">>, []),
    Inner = held(),
    receive {asks, Outer} -> exit(Outer, kill), ended(Outer) end,
    Inner ! {go, 1},
    {3, 2, 1} = py_client:recv(Socket),
    fail(Socket, Nested),
    {4, 1, {raised, exit, killed, _, _}} = py_client:recv(Socket),
    fine(Socket, Handler, Request).

all_killed(_) ->
    {Socket, Handler, Request} = at_work(),
    call(Socket, 1, <<"ask">>, [<<"code">>, infinity_ms()]),
    {2, Nested, {eval, _}} = py_client:recv(Socket),
    call(Socket, 2, <<"hold">>, []),
    exit(held(), kill),
    receive {asks, Outer} -> exit(Outer, kill), ended(Outer) end,
    {4, 2, {raised, exit, killed, _, _}} = py_client:recv(Socket),
    fail(Socket, Nested),
    {4, 1, {raised, exit, killed, _, _}} = py_client:recv(Socket),
    fine(Socket, Handler, Request).

clears_its_dictionary(_) ->
    {Socket, Handler, Request} = at_work(),
    ok = py:register_function(clear, fun([]) -> {error, timeout} = py:eval("code", #{}, 10), erase(), cleared end),
    call(Socket, 1, <<"clear">>, []),
    {2, Nested, {eval, _}} = py_client:recv(Socket),
    {error, timeout} = socket:recv(Socket, 0, 50),
    fail(Socket, Nested),
    {3, 1, cleared} = py_client:recv(Socket),
    fine(Socket, Handler, Request).

exits_normally(_) ->
    {Socket, Handler, Request} = at_work(),
    ok = py:register_function(leave, fun([]) -> exit(normal) end),
    call(Socket, 1, <<"leave">>, []),
    {4, 1, {raised, exit, normal, _, _}} = py_client:recv(Socket),
    %% From outside nothing happens.
    call(Socket, 2, <<"hold">>, []),
    Runner = held(),
    exit(Runner, normal),
    exit(Handler, normal),
    Runner ! {go, 2},
    {3, 2, 2} = py_client:recv(Socket),
    fine(Socket, Handler, Request).

links_the_handler(_) ->
    {Socket, Handler, Request} = at_work(),
    ok = py:register_function(link, fun([]) ->
        {parent, Parent} = process_info(self(), parent),
        true = link(Parent),
        _ = monitor(process, Parent),
        exit(self(), kill)
    end),
    call(Socket, 1, <<"link">>, []),
    {4, 1, {raised, exit, killed, _, _}} = py_client:recv(Socket),
    fine(Socket, Handler, Request).

unlinks_the_handler(_) ->
    {Socket, Handler, Request} = at_work(),
    ok = py:register_function(unlink, fun([]) ->
        {parent, Parent} = process_info(self(), parent),
        true = unlink(Parent),
        exit(self(), kill)
    end),
    call(Socket, 1, <<"unlink">>, []),
    {4, 1, {raised, exit, killed, _, _}} = py_client:recv(Socket),
    fine(Socket, Handler, Request).

sends_an_exit(_) ->
    {Socket, Handler, Request} = at_work(),
    ok = py:register_function(send_exit, fun([]) ->
        {parent, Parent} = process_info(self(), parent),
        exit(Parent, {shutdown, ouch}),
        exit(Parent, ouch),
        sent
    end),
    call(Socket, 1, <<"send_exit">>, []),
    {3, 1, sent} = py_client:recv(Socket),
    fine(Socket, Handler, Request).

traps_exits(_) ->
    {Socket, Handler, Request} = at_work(),
    ok = py:register_function(trap, fun([]) -> process_flag(trap_exit, true), spawn_link(fun() -> exit(x) end), receive {'EXIT', _, x} -> got end end),
    [begin call(Socket, Id, <<"trap">>, []), {3, Id, got} = py_client:recv(Socket) end || Id <- [1, 2]],
    fine(Socket, Handler, Request).

cast_dies(_) ->
    {Socket, Handler, Request} = at_work(),
    py_client:send_frame(Socket, 5, 0, term_to_binary({<<"hold">>, []})),
    exit(held(), kill),
    call(Socket, 1, <<"double_it">>, [21]),
    {3, 1, 42} = py_client:recv(Socket),
    fine(Socket, Handler, Request).

%% Interrupts

%% A thread that has given up on a function passes over its answer. Once it speaks, the handler
%% knows.
speaks(Socket) -> call(Socket, 9, <<"double_it">>, [21]).
goes_on(Socket) -> ?assertEqual({3, 9, 42}, py_client:recv(Socket)).

interrupted(_) ->
    {Socket, Handler, Request} = at_work(),
    call(Socket, 1, <<"hold">>, []),
    Runner = held(),
    ok = py_handler:interrupted(Handler),
    answer(Socket, Request, interrupted),
    ended(Runner),
    {4, 1, {raised, exit, {shutdown, interrupted}, _, _}} = py_client:recv(Socket),
    receive {outcome, {ok, _}} -> ok end,
    fine(Socket, Handler, request(Socket, Handler)).

%% The nested call first, then the function, with some time to end.
interrupted_in_a_nested_call(_) ->
    {Socket, Handler, Request} = at_work(),
    call(Socket, 1, <<"ask_and_hold">>, [<<"code">>, infinity_ms()]),
    {2, Nested, {eval, _}} = py_client:recv(Socket),
    Runner = held(),
    ok = py_handler:interrupted(Handler),
    {error, timeout} = socket:recv(Socket, 0, 300),
    ?assert(is_process_alive(Runner)),
    fail(Socket, Nested),
    receive {said, Said} -> ?assertEqual({error, interrupted}, Said) end,
    speaks(Socket),
    ended(Runner),
    {4, 1, {raised, exit, {shutdown, interrupted}, _, _}} = py_client:recv(Socket),
    goes_on(Socket),
    fine(Socket, Handler, Request).

%% A function that Python calls on its way out has all its time; so has a later one.
interrupted_before(_) ->
    {Socket, Handler, Request} = at_work(),
    ok = py_handler:interrupted(Handler),
    _ = sys:get_status(Handler),
    call(Socket, 1, <<"hold">>, []),
    First = held(),
    {error, timeout} = socket:recv(Socket, 0, 300),
    First ! {go, 1},
    {3, 1, 1} = py_client:recv(Socket),
    call(Socket, 2, <<"hold">>, []),
    Second = held(),
    ok = py_handler:interrupted(Handler),
    call(Socket, 3, <<"hold">>, []),
    ended(Second),
    {4, 2, _} = py_client:recv(Socket),
    Third = held(),
    {error, timeout} = socket:recv(Socket, 0, 300),
    Third ! {go, 3},
    {3, 3, 3} = py_client:recv(Socket),
    fine(Socket, Handler, Request).

%% The news of the interrupt arrives while another function runs, and Python waits for that one.
interrupted_late(_) ->
    {Socket, Handler, Request} = at_work(),
    call(Socket, 1, <<"hold">>, []),
    Runner = held(),
    ok = py_handler:interrupted(Handler),
    {error, timeout} = socket:recv(Socket, 0, 400),
    Runner ! {go, 1},
    {3, 1, 1} = py_client:recv(Socket),
    fine(Socket, Handler, Request).

interrupted_twice(_) ->
    {Socket, Handler, Request} = at_work(),
    [begin
        call(Socket, Id, <<"hold">>, []),
        Runner = held(),
        [ok = py_handler:interrupted(Handler) || _ <- [1, 2, 3]],
        speaks(Socket),
        ended(Runner),
        {4, Id, _} = py_client:recv(Socket),
        goes_on(Socket)
     end || Id <- [1, 2]],
    fine(Socket, Handler, Request).

interrupted_trapping(_) ->
    {Socket, Handler, Request} = at_work(),
    Me = self(),
    ok = py:register_function(trap, fun([]) -> process_flag(trap_exit, true), Me ! {held, self()}, receive never -> ok end end),
    call(Socket, 1, <<"trap">>, []),
    Runner = held(),
    ok = py_handler:interrupted(Handler),
    speaks(Socket),
    ended(Runner),
    {4, 1, {raised, exit, killed, _, _}} = py_client:recv(Socket),
    goes_on(Socket),
    fine(Socket, Handler, Request).

%% Python's next call waits behind it.
interrupted_cast(_) ->
    {Socket, Handler, Request} = at_work(),
    py_client:send_frame(Socket, 5, 0, term_to_binary({<<"hold">>, []})),
    Runner = held(),
    ok = py_handler:interrupted(Handler),
    speaks(Socket),
    ended(Runner),
    goes_on(Socket),
    fine(Socket, Handler, Request).

%% Its thread is gone.
interrupted_and_lost(_) ->
    {Socket, Handler, _} = at_work(),
    Monitor = py_client:watch(Handler),
    call(Socket, 1, <<"hold">>, []),
    Runner = held(),
    ok = py_handler:interrupted(Handler),
    py_client:close(Socket),
    ended(Runner),
    receive {'DOWN', Monitor, _, _, Reason} -> ?assertEqual({shutdown, closed}, Reason) end.

%% Python's answer to the request and the function's next nested call pass each other on their way.
%% Python knows nothing of that, and runs the call.
answered_further_down(_) ->
    {Socket, Handler, Request} = at_work(),
    call(Socket, 1, <<"ask">>, [<<"code">>, infinity_ms()]),
    Runner = receive {asks, Pid} -> Pid end,
    {2, Nested, {eval, _}} = py_client:recv(Socket),
    answer(Socket, Request, given_up),
    ended(Runner),
    speaks(Socket),
    goes_on(Socket),
    receive {outcome, _} -> ct:fail(too_early) after 0 -> ok end,
    answer(Socket, Nested, late),
    receive {outcome, Outcome} -> ?assertEqual({ok, term_to_binary(given_up)}, Outcome) end,
    fine(Socket, Handler, request(Socket, Handler)).

%% There the function runs in the handler, and goes on.
answered_further_down_in_a_thread(_) ->
    {Socket, _} = py_client:thread(),
    call(Socket, 1, <<"ask">>, [<<"one">>, 5000]),
    {2, Outer, {eval, [_, <<"one">>, _]}} = py_client:recv(Socket),
    call(Socket, 2, <<"ask">>, [<<"two">>, 5000]),
    {2, Inner, {eval, [_, <<"two">>, _]}} = py_client:recv(Socket),
    fail(Socket, Outer),
    answer(Socket, Inner, 2),
    {3, 2, {error, {ok, 2}}} = py_client:recv(Socket),
    {3, 1, {error, interrupted}} = py_client:recv(Socket),
    {3, 3, 42} = begin call(Socket, 3, <<"double_it">>, [21]), py_client:recv(Socket) end.

%% A nested call's time runs out while a function is running within it.
timeout_while_the_inner_runs(_) ->
    {Socket, Handler, Request} = at_work(),
    call(Socket, 1, <<"ask_and_hold">>, [<<"code">>, 50]),
    Outer = held(),
    {2, Nested, {eval, _}} = py_client:recv(Socket),
    call(Socket, 2, <<"hold">>, []),
    Inner = held(),
    receive {said, Said} -> ?assertEqual({error, timeout}, Said) end,
    Outer ! {go, 1},
    Inner ! {go, 2},
    {3, 2, 2} = py_client:recv(Socket),
    fail(Socket, Nested),
    {3, 1, 1} = py_client:recv(Socket),
    fine(Socket, Handler, Request).

%% Code that does not stop loses its connection, once its function needs it.
late_by_far(_) ->
    {Socket, Handler, _} = at_work(),
    Monitor = py_client:watch(Handler),
    call(Socket, 1, <<"ask">>, [<<"code">>, 10]),
    {2, _, {eval, _}} = py_client:recv(Socket),
    ?assertEqual(closed, py_client:recv(Socket, 10000)),
    receive {'DOWN', Monitor, _, _, Reason} -> ?assertEqual({shutdown, timeout}, Reason) end.

%% The handler

%% Odd while Python waits for a function.
activity(_) ->
    {Socket, Handler, #{activity := Activity}} = context(),
    At = fun() -> atomics:get(Activity, 1) end,
    0 = At(),
    Request = request(Socket, Handler),
    0 = At(),
    call(Socket, 1, <<"hold">>, []),
    First = held(),
    _ = sys:get_status(Handler),
    1 = At(),
    First ! {go, 1},
    {3, 1, 1} = py_client:recv(Socket),
    _ = sys:get_status(Handler),
    2 = At(),
    call(Socket, 2, <<"ask_and_hold">>, [<<"code">>, 5000]),
    {2, Nested, {eval, _}} = py_client:recv(Socket),
    _ = sys:get_status(Handler),
    4 = At(),
    call(Socket, 3, <<"hold">>, []),
    Outer = held(),
    Inner = held(),
    _ = sys:get_status(Handler),
    5 = At(),
    Inner ! {go, 1},
    {3, 3, 1} = py_client:recv(Socket),
    answer(Socket, Nested, 1),
    receive {said, {ok, 1}} -> ok end,
    7 = At(),
    Outer ! {go, 1},
    {3, 2, 1} = py_client:recv(Socket),
    _ = sys:get_status(Handler),
    8 = At(),
    fine(Socket, Handler, Request).

stray_messages(_) ->
    {Socket, Handler, Request} = at_work(),
    Stray = fun() ->
        Handler ! hello,
        Handler ! {'$gen_call', {self(), make_ref()}, hello},
        Handler ! {'$gen_cast', hello},
        Handler ! {'DOWN', make_ref(), process, self(), x},
        Handler ! {'EXIT', self(), x},
        Handler ! {py_conversation, moved, self(), {answer, ok, <<>>}},
        Handler ! {py_conversation, interrupt_answered, 1, true},
        Handler ! {timeout, make_ref(), x}
    end,
    Stray(),
    call(Socket, 1, <<"hold">>, []),
    Runner = held(),
    Stray(),
    Runner ! {go, 1},
    {3, 1, 1} = py_client:recv(Socket),
    call(Socket, 2, <<"ask">>, [<<"code">>, 5000]),
    {2, Nested, {eval, _}} = py_client:recv(Socket),
    Stray(),
    answer(Socket, Nested, 1),
    {3, 2, {error, {ok, 1}}} = py_client:recv(Socket),
    receive {asks, _} -> ok end,
    fine(Socket, Handler, Request).

status_while_it_runs(_) ->
    {Socket, Handler, Request} = at_work(),
    call(Socket, 1, <<"hold">>, []),
    Runner = held(),
    {status, Handler, _, [_, running, _, _, Status]} = sys:get_status(Handler),
    {data, Data} = lists:keyfind(data, 1, Status),
    ?assertEqual([{"Calls served", 1}, {"Busy", true}], [lists:keyfind(Key, 1, Data) || Key <- ["Calls served", "Busy"]]),
    ok = sys:suspend(Handler),
    Runner ! {go, 1},
    {error, timeout} = socket:recv(Socket, 0, 50),
    ok = sys:resume(Handler),
    {3, 1, 1} = py_client:recv(Socket),
    fine(Socket, Handler, Request).

%% The function goes with its handler, even one that does not want to.
dismissed(_) ->
    Me = self(),
    ok = py:register_function(trap, fun([]) -> process_flag(trap_exit, true), Me ! {held, self()}, receive never -> ok end end),
    [begin
        {Socket, Handler, _} = at_work(),
        Monitor = py_client:watch(Handler),
        call(Socket, 1, Name, []),
        Runner = held(),
        ok = py_handler_sup:dismiss(Handler, given_up),
        receive {'DOWN', Monitor, _, _, Reason} -> ?assertEqual({shutdown, given_up}, Reason) end,
        ended(Runner),
        ?assert(py_client:eof(Socket))
     end || Name <- [<<"hold">>, <<"trap">>]].

%% A function in a nested call hears of it, and may end by itself.
connection_lost(_) ->
    {Socket, Handler, _} = at_work(),
    Monitor = py_client:watch(Handler),
    call(Socket, 1, <<"ask_and_hold">>, [<<"code">>, 5000]),
    {2, _, {eval, _}} = py_client:recv(Socket),
    Runner = held(),
    py_client:close(Socket),
    receive {said, Said} -> ?assertMatch({error, {host_down, _}}, Said) end,
    Runner ! {go, 1},
    receive {'DOWN', Monitor, _, _, Reason} -> ?assertMatch({shutdown, _}, Reason) end.

shutdown(_) ->
    {Socket, _, _} = at_work(),
    call(Socket, 1, <<"hold">>, []),
    Runner = held(),
    ok = application:stop(erlang_python),
    ended(Runner).

infinity_ms() -> 1000000.
