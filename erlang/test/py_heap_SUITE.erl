%% What a function's process may take, and what it holds when it is idle. No Python.
-module(py_heap_SUITE).

-include_lib("stdlib/include/assert.hrl").

-compile([export_all, nowarn_export_all]).

suite() -> [{timetrap, {seconds, 30}}].

all() ->
    [setting, large_arguments, large_bytes, grows, grows_in_a_context, grows_in_a_submitted_call, no_limit, footprint, footprint_of_anything,
     idle_holds_nothing, idle_context_holds_nothing, answer_is_let_go, cache_is_left_alone].

-define(MAX, 1000000).

init_per_testcase(Case, Config) ->
    ok = py_client:start_app(settings(Case)),
    ok = py_peer:register(),
    #{level := Level} = logger:get_primary_config(),
    ok = logger:set_primary_config(level, none),
    [{level, Level} | Config].

end_per_testcase(_Case, Config) ->
    ok = logger:set_primary_config(level, proplists:get_value(level, Config)),
    py_client:stop_app().

settings(no_limit) -> [{max_heap_size, infinity}];
settings(Case) when Case =:= cache_is_left_alone; Case =:= idle_holds_nothing -> [];
settings(_) -> [{max_heap_size, ?MAX}].

%% The limit

-define(REFUSAL, <<"the arguments would take more memory than 1000000 words (setting max_heap_size)">>).

setting(_) ->
    {ok, #{max_heap_size := 536870912}} = py_settings:check(#{}),
    {ok, #{max_heap_size := 65536}} = py_settings:check(#{max_heap_size => 65536}),
    {ok, #{max_heap_size := infinity}} = py_settings:check(#{max_heap_size => infinity}),
    [{error, {bad_setting, max_heap_size, <<"setting max_heap_size must be an integer from 65536, or infinity, not ", _/binary>>}} =
         py_settings:check(#{max_heap_size => Bad}) || Bad <- [0, 1, 65535, -1, none]].

%% Small values are refused before they are made, and the connection stays.
large_arguments(_) ->
    {Socket, _} = py_client:thread(),
    [begin
        {4, 1, Failure} = py_client:call(Socket, <<"size">>, [Value]),
        ?assertEqual({limit, ?REFUSAL}, Failure),
        {3, 1, 42} = py_client:call(Socket, <<"double_it">>, [21])
     end || Value <- [lists:duplicate(600000, []), lists:seq(1, 600000), lists:duplicate(300000, [1]), [list_to_tuple(lists:duplicate(1100000, 1))],
                      maps:from_list([{N, N} || N <- lists:seq(1, 300000)])]].

%% Bytes are bytes.
large_bytes(_) ->
    {Socket, _} = py_client:thread(),
    {3, 1, 20000000} = py_client:call(Socket, <<"size">>, [binary:copy(<<0>>, 20000000)]).

%% A thread's function takes its handler along: the connection ends.
grows(_) ->
    {Socket, Handler} = py_client:thread(),
    Monitor = py_client:watch(Handler),
    register_grow(),
    py_client:send_frame(Socket, 2, 1, term_to_binary({<<"grow">>, []})),
    receive {'DOWN', Monitor, _, _, Reason} -> ?assertEqual(killed, Reason) end,
    ?assert(py_client:eof(Socket)).

grows_in_a_context(_) ->
    register_grow(),
    Token = py_coordinator:expect(context),
    Socket = py_client:connect(),
    {1, _} = py_client:hello(Socket, {erlpy, 1, {context, Token}, #{os_pid => 1}}),
    {4, 1, {raised, exit, killed, Text, []}} = py_client:call(Socket, <<"grow">>, []),
    ?assertMatch({match, _}, re:run(Text, "max_heap_size")),
    {3, 1, 42} = py_client:call(Socket, <<"double_it">>, [21]).

grows_in_a_submitted_call(_) ->
    register_grow(),
    {Socket, _} = py_client:async(),
    {4, 1, {raised, exit, killed, Text, []}} = py_client:call(Socket, <<"grow">>, []),
    ?assertMatch({match, _}, re:run(Text, "max_heap_size")),
    {4, 1, Failure} = py_client:call(Socket, <<"size">>, [lists:duplicate(600000, [])]),
    ?assertEqual({limit, ?REFUSAL}, Failure),
    {3, 1, 42} = py_client:call(Socket, <<"double_it">>, [21]).

register_grow() -> ok = py:register_function(grow, fun([]) -> length(lists:seq(1, 20 * ?MAX)) end).

no_limit(_) ->
    {Socket, _} = py_client:thread(),
    ok = py:register_function(count, fun([List]) -> length(List) end),
    {3, 1, 600000} = py_client:call(Socket, <<"count">>, [lists:duplicate(600000, [])]).

%% Never less than the emulator says.
footprint(_) ->
    Terms = [0, 255, 256, -1, 1 bsl 40, 1 bsl 62, -(1 bsl 200), 1 bsl 4000, 1.5, a, 'žlutý', "string", [1, 300], [], {}, {a, [b, {c}]}, <<>>, <<"bytes">>,
             binary:copy(<<1>>, 64), binary:copy(<<1>>, 65), binary:copy(<<1>>, 1000), <<1:3>>, #{}, #{a => 1, <<"b">> => [#{}]},
             maps:from_list([{N, [N]} || N <- lists:seq(1, 33)]), maps:from_list([{{N}, N} || N <- lists:seq(1, 5000)]),
             self(), make_ref(), fun lists:map/2, fun(X) -> {X, all()} end, [improper | tail], lists:duplicate(300, $a), lists:duplicate(70000, 7)],
    [begin
        Payload = term_to_binary(Term, [{minor_version, 2}]),
        Copy = binary_to_term(Payload),
        Words = erts_debug:flat_size(Copy),
        ?assertNot(py_footprint:fits(Payload, max(1, Words - 1)) andalso Words > 1, Term),
        ?assert(py_footprint:fits(Payload, 2 * byte_size(Payload)), Term),
        ?assert(py_footprint:fits(Payload, infinity), Term)
     end || Term <- [Terms | Terms]].

%% Cut short or scrambled, it ends, and says something.
footprint_of_anything(_) ->
    Payload = term_to_binary([{self(), make_ref(), 1.5, #{a => <<"b">>}, "string", 1 bsl 100} || _ <- lists:seq(1, 20)]),
    [begin
        true = is_boolean(py_footprint:fits(binary:part(Payload, 0, N), 10)),
        <<Before:N/binary, _, After/binary>> = Payload,
        true = is_boolean(py_footprint:fits(<<Before/binary, (rand:uniform(255)), After/binary>>, 10))
     end || N <- lists:seq(0, byte_size(Payload) - 1)].

%% Idle

%% Waits until that process holds no large binary, which a collection alone can bring about.
lets_go(Pid) ->
    receive {trace, Pid, gc_major_end, _} -> held(Pid) =:= [] orelse lets_go(Pid) end.

held(Pid) ->
    {binary, Held} = process_info(Pid, binary),
    [Size || {_, Size, _} <- Held, Size >= 1 bsl 20].

idle_holds_nothing(_) ->
    {Socket, Handler} = py_client:thread(),
    1 = erlang:trace(Handler, true, [garbage_collection]),
    Large = binary:copy(<<255>>, 1 bsl 20),
    {3, 1, [Large]} = py_client:call(Socket, <<"args">>, [Large]),
    true = lets_go(Handler).

idle_context_holds_nothing(_) ->
    Token = py_coordinator:expect(context),
    Socket = py_client:connect(),
    {1, {erlpy, 1, Handler, _}} = py_client:hello(Socket, {erlpy, 1, {context, Token}, #{os_pid => 1}}),
    1 = erlang:trace(Handler, true, [garbage_collection]),
    ok = py_handler:request(Handler, {message, self(), outcome}, none, term_to_binary({version, []})),
    {2, Id, _} = py_client:recv(Socket),
    py_client:send_frame(Socket, 3, Id, term_to_binary(binary:copy(<<255>>, 1 bsl 20))),
    receive {outcome, {ok, _}} -> ok end,
    true = lets_go(Handler).

%% The call is small.
answer_is_let_go(_) ->
    {Socket, Handler} = py_client:thread(),
    1 = erlang:trace(Handler, true, [garbage_collection]),
    {3, 1, Blob} = py_client:call(Socket, <<"blob">>, [1 bsl 20]),
    1048576 = byte_size(Blob),
    true = lets_go(Handler).

%% A function that keeps much is not made to copy it with each call.
cache_is_left_alone(_) ->
    {Socket, Handler} = py_client:thread(),
    ok = py:register_function(fill, fun([]) -> put(cache, lists:seq(1, 1000000)), ok end),
    {3, 1, ok} = py_client:call(Socket, <<"fill">>, []),
    1 = erlang:trace(Handler, true, [garbage_collection]),
    [{3, 1, 5000} = py_client:call(Socket, <<"size">>, [binary:copy(<<0>>, 5000)]) || _ <- lists:seq(1, 100)],
    ok = py_client:close(Socket),
    Collections = fun F(N) -> receive {trace, Handler, gc_major_start, _} -> F(N + 1) after 0 -> N end end,
    ?assert(Collections(0) < 10).
