%% Interrupts of calls within calls: which level of a context's they end, and which they leave alone. With a real host.
-module(py_levels_SUITE).

-include_lib("stdlib/include/assert.hrl").

-compile([export_all, nowarn_export_all]).

suite() -> [{timetrap, {seconds, 30}}].

all() ->
    [interrupt_ends_all, timeout_ends_all, timeout_within_ends_its_own, caught_within, never_the_next, not_even_late, two_at_once,
     interrupt_ends_functions_around, interrupt_between, interrupt_between_and_call, function_dies_within, called_on_the_way_out, timeout_in_a_function_within].

init_per_testcase(_Case, Config) ->
    py_client:start_app([{hosts, 1}, {contexts, 1}, {max_contexts, 1}]),
    {ok, _} = py:start_contexts(),
    Me = self(),
    true = register(?MODULE, Me),
    ok = py:register_function(tell_me, fun(Args) -> Me ! {told, Args} end),
    %% Calls Python again, with the time it is given, and says how that ended.
    ok = py:register_function(within, fun([Code, Timeout]) -> said(py:eval(Code, #{}, Timeout)) end),
    ok = py:exec(
        "import erlang, time\n"
        "def spin():\n"
        "    erlang.cast('tell_me', 'spins')\n"
        "    while True: pass\n"
        "def stubborn():\n"
        "    try: spin()\n"
        "    except KeyboardInterrupt: return 'caught'\n"
        "def nap(s):\n"
        "    end = time.perf_counter() + s\n"
        "    while time.perf_counter() < end: pass\n"
        "    return 'slept'\n"
        "def outer(code, ms): return erlang.call('within', code, ms)\n"
        "def deeper(code, ms): return outer(\"outer('%s', %d)\" % (code, ms), 100000)\n"),
    Config.

end_per_testcase(_Case, _Config) ->
    py_client:stop_app().

said({ok, Value}) -> Value;
said({error, Reason}) -> {failed, Reason}.

spins() ->
    receive {told, [<<"spins">>]} -> ok end.

interrupt_ends_all(_) ->
    Context = py:context(),
    [begin
        Ref = py:spawn_call('__main__', Function, [Code, 100000]),
        spins(),
        {Time, {error, interrupted}} = timer:tc(fun() -> ok = py:interrupt(Context), py:await(Ref) end),
        ?assert(Time < 1000000, {Function, Code, Time}),
        not_running = py:interrupt(Context),
        {ok, 2} = py:eval("1 + 1")
     end || _ <- [1, 2, 3], Function <- [outer, deeper], Code <- [<<"spin()">>, <<"stubborn()">>]],
    ?assertEqual(Context, py:context()).

timeout_ends_all(_) ->
    Context = py:context(),
    [begin
        {Time, {error, timeout}} = timer:tc(fun() -> py:call('__main__', Function, [<<"spin()">>, 100000], #{}, 50) end),
        ?assert(Time < 1000000),
        spins(),
        {ok, 2} = py:eval("1 + 1")
     end || _ <- [1, 2, 3], Function <- [outer, deeper]],
    ?assertEqual(Context, py:context()).

%% The calls around go on, and end well.
timeout_within_ends_its_own(_) ->
    Context = py:context(),
    [begin
        ?assertEqual({ok, {<<"failed">>, <<"timeout">>}}, py:call('__main__', Function, [Code, 50], #{}, 20000)),
        spins(),
        {ok, 2} = py:eval("1 + 1")
     end || _ <- [1, 2, 3], Function <- [outer, deeper], Code <- [<<"spin()">>, <<"stubborn()">>]],
    ?assertEqual(Context, py:context()).

%% Code around that catches it goes on: it is told once.
caught_within(_) ->
    Context = py:context(),
    ok = py:exec("def patient():\n"
                 "    try: outer('spin()', 100000)\n"
                 "    except KeyboardInterrupt: return ['caught', erlang.call('within', '1 + 1', 1000)]\n"),
    Ref = py:spawn_call('__main__', patient, []),
    spins(),
    ok = py:interrupt(Context),
    {ok, [<<"caught">>, 2]} = py:await(Ref),
    ?assertEqual(Context, py:context()).

%% A call within that ends about when its time runs out: neither the next one within nor the one around is hit.
never_the_next(_) ->
    Context = py:context(),
    ok = py:register_function(in_turn, fun([Nap]) ->
        case py:eval("nap(s)", #{s => Nap}, 5) of
            {ok, <<"slept">>} -> ok;
            {error, timeout} -> ok
        end,
        {ok, 49} = py:eval("[n for n in range(50)][-1]"),
        {ok, <<"slept">>} = py:eval("nap(0.001)"),
        done
    end),
    [{ok, <<"done">>} = py:eval("erlang.call('in_turn', s)", #{s => 0.0045 + N * 0.00001}, 20000) || N <- lists:seq(1, 100)],
    ?assertEqual(Context, py:context()).

%% An interrupt that is held up: the next call within does not begin before it has missed.
not_even_late(_) ->
    ok = py:register_function(in_turn, fun([]) ->
        ok = sys:suspend(py_contexts),
        {error, timeout} = py:eval("nap(0.05)", #{}, 5),
        py:exec("erlang.cast('tell_me', 'next')\nnap(0.2)")
    end),
    Ref = py:spawn_call(erlang, call, [<<"in_turn">>]),
    receive {told, [<<"next">>]} -> ok after 300 -> ok end,
    ok = sys:resume(py_contexts),
    {ok, <<"ok">>} = py:await(Ref),
    receive {told, [<<"next">>]} -> ok end.

%% Of the call within, as its time runs out, and of all: in either order nothing is left over for the next.
two_at_once(_) ->
    Context = py:context(),
    [begin
        Ref = py:spawn_call('__main__', outer, [<<"spin()">>, N rem 10]),
        spins(),
        timer:sleep(N rem 7),
        case {py:interrupt(Context), py:await(Ref)} of
            {ok, {error, interrupted}} -> ok;
            %% The interrupt came when the call within was over, and so was the one around, or about to be.
            {_, {ok, {<<"failed">>, <<"timeout">>}}} -> ok
        end,
        {ok, 49} = py:eval("[n for n in range(50)][-1]"),
        {ok, 50} = py:eval("outer('sum([1] * 50)', 5000)")
     end || N <- lists:seq(1, 60)],
    ?assertEqual(Context, py:context()).

%% The functions, once the nested calls in which they were have ended.
interrupt_ends_functions_around(_) ->
    Context = py:context(),
    [begin
        ok = py:register_function(forever, fun([C, T]) -> tell(self()), {failed, _} = said(py:eval(C, #{}, T)), receive never -> ok end end),
        Ref = py:spawn_call(erlang, call, [<<"forever">>, Code, Ms]),
        Function = receive {function, Pid} -> Pid end,
        Monitor = monitor(process, Function),
        spins(),
        ok = interrupt_again(Context, Ms),
        receive {'DOWN', Monitor, _, _, _} -> ok end,
        ?assertEqual({error, interrupted}, py:await(Ref)),
        {ok, 49} = py:eval("[n for n in range(50)][-1]"),
        ?assertEqual({ok, 2}, py:eval("outer('1 + 1', 5000)"))
     end || _ <- [1, 2], Code <- [<<"spin()">>, <<"stubborn()">>, <<"outer('spin()', 100000)">>], Ms <- [100000, 20]],
    ?assertEqual(Context, py:context()).

%% With a short time the call within may have ended by itself.
interrupt_again(Context, 100000) -> py:interrupt(Context);
interrupt_again(Context, Ms) -> timer:sleep(Ms), py:interrupt(Context).

tell(Function) -> _ = [Pid ! {function, Function} || Pid <- [whereis(?MODULE)]], ok.

%% A function that calls on and on is hit at any point of its way.
interrupt_between(_) ->
    Context = py:context(),
    ok = py:register_function(on_and_on, fun([]) -> tell(self()), on_and_on() end),
    [begin
        Ref = py:spawn_call(erlang, call, [<<"on_and_on">>]),
        receive {function, _} -> ok end,
        timer:sleep(N rem 5),
        ok = py:interrupt(Context),
        ?assertEqual({N, {error, interrupted}}, {N, py:await(Ref)}),
        ?assertEqual({ok, N}, py:eval("n", #{n => N})),
        ?assertEqual({ok, N}, py:eval("outer('%d' % n, 5000)", #{n => N}))
     end || N <- lists:seq(1, 40)],
    ?assertEqual(Context, py:context()).

on_and_on() ->
    _ = py:eval("1"),
    on_and_on().

%% Python calls another function on its way out, while the one it has given up on calls Python.
interrupt_between_and_call(_) ->
    Context = py:context(),
    ok = py:register_function(on_and_on, fun([]) -> tell(self()), on_and_on() end),
    ok = py:exec("def tidy():\n"
                 "    try: return erlang.call('on_and_on')\n"
                 "    except KeyboardInterrupt: return [erlang.call('within', str(n), 5000) for n in range(20)]\n"),
    [begin
        Ref = py:spawn_call('__main__', tidy, []),
        receive {function, _} -> ok end,
        timer:sleep(N rem 5),
        ok = py:interrupt(Context),
        ?assertEqual({N, {ok, lists:seq(0, 19)}}, {N, py:await(Ref)}),
        ?assertEqual({ok, N}, py:eval("outer('%d' % n, 5000)", #{n => N}))
     end || N <- lists:seq(1, 40)],
    ?assertEqual(Context, py:context()).

%% The function dies in the middle of its nested call: Python ends that one, and hears of the death.
function_dies_within(_) ->
    Context = py:context(),
    ok = py:register_function(dies, fun([Code]) -> tell(self()), py:eval(Code) end),
    [begin
        Ref = py:spawn_call(builtins, eval, [<<"__import__('erlang').call('dies', 'stubborn()')">>]),
        Function = receive {function, Pid} -> Pid end,
        spins(),
        exit(Function, kill),
        {error, {'CallError', <<"exit: killed", _/binary>>}} = py:await(Ref),
        ?assertEqual({ok, 2}, py:eval("outer('1 + 1', 5000)"))
     end || _ <- [1, 2, 3]],
    ?assertEqual(Context, py:context()).

%% What Python calls on its way out takes the time it takes.
called_on_the_way_out(_) ->
    Context = py:context(),
    ok = py:register_function(slow, fun([]) -> timer:sleep(400), 'done' end),
    ok = py:exec("def tidy():\n"
                 "    try: spin()\n"
                 "    except KeyboardInterrupt: return [erlang.call('slow'), erlang.call('within', '1 + 1', 1000)]\n"),
    Ref = py:spawn_call('__main__', tidy, []),
    spins(),
    ok = py:interrupt(Context),
    ?assertEqual({ok, [<<"done">>, 2]}, py:await(Ref)),
    ?assertEqual(Context, py:context()).

%% Its time runs out while the code within waits for a function that does not end.
timeout_in_a_function_within(_) ->
    Context = py:context(),
    ok = py:register_function(hold, fun([]) -> tell(self()), receive never -> ok end end),
    [begin
        Ref = py:spawn_call('__main__', outer, [<<"erlang.call('hold')">>, 50]),
        Monitor = monitor(process, receive {function, Pid} -> Pid end),
        ?assertEqual({ok, {<<"failed">>, <<"timeout">>}}, py:await(Ref)),
        receive {'DOWN', Monitor, _, _, _} -> ok end,
        ?assertEqual({ok, 2}, py:eval("outer('1 + 1', 5000)"))
     end || _ <- [1, 2, 3]],
    ?assertEqual(Context, py:context()).
