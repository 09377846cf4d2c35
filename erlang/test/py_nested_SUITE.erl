%% Calls inside calls, over a real socket: how deep they go, and what becomes of an answer that comes too late. No Python but in
%% the last case.
-module(py_nested_SUITE).

-include_lib("stdlib/include/assert.hrl").

-compile([export_all, nowarn_export_all]).

suite() -> [{timetrap, {seconds, 30}}].

all() -> [limit, limit_counts_levels, late_answer, late_answer_before_next, late_calls_are_served, late_by_far, late_asks_nobody,
          erased, erased_after_a_timeout, cast_has_nobody, late_context].

init_per_testcase(Case, Config) ->
    ok = py_client:start_app(settings(Case)),
    ok = py_peer:register(),
    Config.

end_per_testcase(_Case, _Config) ->
    py_client:stop_app().

settings(limit) -> [{max_nesting, 3}];
settings(limit_counts_levels) -> [{max_nesting, 1}];
settings(late_context) -> [{hosts, 1}, {contexts, 1}, {max_contexts, 1}];
settings(_) -> [].

%% One level more than may is an error of that call alone; all the others end well.
limit(_) ->
    {Socket, _} = py_client:thread(),
    ok = py:register_function(deeper, fun([]) -> py:eval("deeper()") end),
    call(Socket, 1, <<"deeper">>, []),
    Ids = [begin
        {2, Id, {eval, [none, <<"deeper()">>, #{}]}} = py_client:recv(Socket),
        call(Socket, N + 1, <<"deeper">>, []),
        Id
    end || N <- [1, 2, 3]],
    {3, 4, {error, Reason}} = py_client:recv(Socket),
    ?assertEqual({'ValueError', <<"calls are nested deeper than 3 (setting max_nesting)">>}, Reason),
    [begin
        py_client:send_frame(Socket, 3, Id, term_to_binary(N)),
        {3, N, {ok, N}} = py_client:recv(Socket)
     end || {N, Id} <- lists:reverse(lists:zip([1, 2, 3], Ids))].

%% Not calls: those one after the other are as many as they like.
limit_counts_levels(_) ->
    {Socket, _} = py_client:thread(),
    ok = py:register_function(often, fun([]) -> [py:eval("1") || _ <- [1, 2, 3]] end),
    call(Socket, 1, <<"often">>, []),
    [begin {2, Id, _} = py_client:recv(Socket), py_client:send_frame(Socket, 3, Id, term_to_binary(N)) end || N <- [1, 2, 3]],
    {3, 1, [{ok, 1}, {ok, 2}, {ok, 3}]} = py_client:recv(Socket).

%% The function goes on in time; what it returns is said once Python has answered the other.
late_answer(_) ->
    Me = self(),
    {Socket, _} = py_client:thread(),
    ok = py:register_function(ask, fun([]) -> Me ! {timed, timer:tc(fun() -> py:eval("slow()", #{}, 20) end)}, done end),
    call(Socket, 1, <<"ask">>, []),
    {2, Id, {eval, _}} = py_client:recv(Socket),
    receive {timed, {Time, Result}} -> ?assertEqual({error, timeout}, Result), ?assert(Time < 200000) end,
    ?assertEqual({error, timeout}, socket:recv(Socket, 0, 50)),
    py_client:send_frame(Socket, 3, Id, term_to_binary(too_late)),
    {3, 1, done} = py_client:recv(Socket),
    call(Socket, 2, <<"double_it">>, [21]),
    {3, 2, 42} = py_client:recv(Socket).

late_answer_before_next(_) ->
    {Socket, _} = py_client:thread(),
    ok = py:register_function(ask, fun([]) -> [py:eval("slow()", #{}, 20), py:eval("quick()")] end),
    call(Socket, 1, <<"ask">>, []),
    {2, Slow, {eval, [none, <<"slow()">>, _]}} = py_client:recv(Socket),
    ?assertEqual({error, timeout}, socket:recv(Socket, 0, 100)),
    py_client:send_frame(Socket, 4, Slow, term_to_binary({python, <<"Interrupted">>, <<>>, []})),
    {2, Quick, {eval, [none, <<"quick()">>, _]}} = py_client:recv(Socket),
    py_client:send_frame(Socket, 3, Quick, term_to_binary(1)),
    {3, 1, [{error, timeout}, {ok, 1}]} = py_client:recv(Socket).

%% Python may have something to say on its way out.
late_calls_are_served(_) ->
    {Socket, _} = py_client:thread(),
    ok = py:register_function(ask, fun([]) -> py:eval("slow()", #{}, 20) end),
    call(Socket, 1, <<"ask">>, []),
    {2, Slow, {eval, _}} = py_client:recv(Socket),
    ?assertEqual({error, timeout}, socket:recv(Socket, 0, 100)),
    call(Socket, 2, <<"double_it">>, [21]),
    {3, 2, 42} = py_client:recv(Socket),
    py_client:send_frame(Socket, 3, Slow, term_to_binary(too_late)),
    {3, 1, {error, timeout}} = py_client:recv(Socket).

%% One that does not answer at all loses its connection.
late_by_far(_) ->
    {Socket, Handler} = py_client:thread(),
    Monitor = py_client:watch(Handler),
    ok = py:register_function(ask, fun([]) -> py:eval("forever()", #{}, 20) end),
    call(Socket, 1, <<"ask">>, []),
    {2, _, {eval, _}} = py_client:recv(Socket),
    ?assertEqual(closed, py_client:recv(Socket, 10000)),
    receive {'DOWN', Monitor, _, _, Reason} -> ?assertEqual({shutdown, timeout}, Reason) after 1000 -> error(lives) end.

%% A plain thread cannot be interrupted, so nobody is asked to.
late_asks_nobody(_) ->
    Contexts = whereis(py_contexts),
    {Socket, _} = py_client:thread(),
    1 = erlang:trace(Contexts, true, ['receive']),
    ok = py:register_function(ask, fun([]) -> {error, timeout} = py:eval("slow()", #{}, 10), ok end),
    call(Socket, 1, <<"ask">>, []),
    {2, Id, {eval, _}} = py_client:recv(Socket),
    ?assertEqual({error, timeout}, socket:recv(Socket, 0, 200)),
    receive {trace, Contexts, 'receive', Asked} -> ct:fail(Asked) after 0 -> ok end,
    py_client:send_frame(Socket, 3, Id, term_to_binary(too_late)),
    {3, 1, ok} = py_client:recv(Socket).

%% What a function keeps in its dictionary is its own business.
erased(_) ->
    {Socket, _} = py_client:thread(),
    ok = py:register_function(ask, fun([]) -> {ok, 1} = py:eval("1"), _ = erase(), erased end),
    [begin
        call(Socket, Call, <<"ask">>, []),
        {2, Id, {eval, _}} = py_client:recv(Socket),
        py_client:send_frame(Socket, 3, Id, term_to_binary(1)),
        {3, Call, erased} = py_client:recv(Socket)
     end || Call <- [1, 2]].

%% The handler cannot know any more that an answer is to come. It ends, rather than take that for
%% another one.
erased_after_a_timeout(_) ->
    {Socket, Handler} = py_client:thread(),
    Monitor = py_client:watch(Handler),
    ok = py:register_function(ask, fun([]) -> {error, timeout} = py:eval("slow()", #{}, 10), _ = erase(), erased end),
    call(Socket, 1, <<"ask">>, []),
    {2, _, {eval, _}} = py_client:recv(Socket),
    closed = py_client:recv(Socket),
    receive {'DOWN', Monitor, _, _, Reason} -> ?assertEqual({shutdown, process_dictionary_erased}, Reason) end.

%% A cast's function has no Python thread that waits for it, so it looks for a context as any process does.
cast_has_nobody(_) ->
    Me = self(),
    {Socket, _} = py_client:thread(),
    ok = py:register_function(ask, fun([]) -> Me ! {asked, py:eval("1")} end),
    py_client:send_frame(Socket, 5, 0, term_to_binary({<<"ask">>, []})),
    receive {asked, Result} -> ?assertMatch({error, {host_down, <<"no Python host is configured", _/binary>>}}, Result) end,
    call(Socket, 1, <<"double_it">>, [21]),
    {3, 1, 42} = py_client:recv(Socket).

%% A context's Python is interrupted, and answers soon; the context stays the same.
late_context(_) ->
    ok = py:register_function(ask, fun([]) -> py:eval("spin()", #{}, 50) end),
    ok = py:exec("import erlang\n"
                 "def spin():\n"
                 "    while True: pass\n"
                 "def go(): return erlang.call('ask')\n"),
    {ok, [Context]} = py:start_contexts(),
    [?assertEqual({ok, {<<"error">>, <<"timeout">>}}, py:call('__main__', go, [], #{}, 4000)) || _ <- [1, 2, 3]],
    {ok, 2} = py:eval("1 + 1"),
    {ok, [Context]} = py:start_contexts().

call(Socket, Id, Target, Args) -> py_client:send_frame(Socket, 2, Id, term_to_binary({Target, Args})).
