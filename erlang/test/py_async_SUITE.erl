%% The async channel (PROTOCOL.md, section 4.1), spoken to over a real socket; and what it keeps account of. No Python.
-module(py_async_SUITE).

-include_lib("stdlib/include/assert.hrl").

-compile([export_all, nowarn_export_all]).

suite() -> [{timetrap, {seconds, 60}}].

all() ->
    pure() ++ [
        handshake, own_process, answers_as_they_come, ten_thousand, limit, waiting_not_losing,
        errors, killed_function, function_links, large_answers, large_answer_uncopied, over_limit_result,
        cancel_running, cancel_waiting, cancel_over, cancel_frees_place, cancel_trapping,
        cast, operations, python_elsewhere, unread_answers, cancel_while_unread, byte_by_byte,
        id_in_use, unexpected_frame, end_kills_functions, killed_channel_kills_functions, bye, stop_app,
        stray_message, forged_messages, unlinked_function, get_status, suspend_resume, not_among_threads,
        builtins_beyond_limit, kill_at_limit, kill_while_unread, killed_cast,
        queue_bound, queue_bound_cancel, queue_bound_end, unread_bound, payload_released
    ].

pure() -> [checked_settings, backlog_order, backlog_limit, backlog_cancel, backlog_reused_id, backlog_cancelled_many, backlog_bytes].

init_per_testcase(Case, Config) ->
    case lists:member(Case, pure()) of
        true ->
            Config;
        false ->
            ok = py_client:start_app(settings(Case)),
            ok = py_peer:register(),
            Config
    end.

end_per_testcase(_Case, _Config) ->
    _ = logger:remove_handler(?MODULE),
    py_client:stop_app().

settings(Case) when Case =:= limit; Case =:= cancel_waiting; Case =:= cancel_frees_place; Case =:= get_status -> [{max_async, 2}];
settings(Case) when Case =:= builtins_beyond_limit; Case =:= kill_at_limit; Case =:= payload_released -> [{max_async, 1}];
settings(Case) when Case =:= queue_bound; Case =:= queue_bound_cancel; Case =:= queue_bound_end; Case =:= unread_bound ->
    [{max_queued_bytes, 100000}];
settings(waiting_not_losing) -> [{max_async, 3}];
settings(over_limit_result) -> [{max_frame, 65536}];
settings(_) -> [].

refused() ->
    [{max_async, 0}, {max_async, many}, {max_queued_bytes, 0}, {max_queued_bytes, infinity}, {max_nesting, 0}, {max_nesting, 1.5},
     {max_submitted_bytes, 0}, {max_submitted_bytes, "1 MB"}].

checked_settings(_) ->
    ?assertMatch({ok, #{max_async := 1000, max_nesting := 100, max_queued_bytes := 67108864, max_submitted_bytes := 67108864}},
                 py_settings:check(#{})),
    [?assertMatch({error, {bad_setting, Name, _}}, py_settings:check(#{Name => Value})) || {Name, Value} <- refused()].

%% What is kept account of

backlog_order(_) ->
    B = lists:foldl(fun(Id, B0) -> py_backlog:add(Id, <<Id>>, 1, B0) end, py_backlog:new(10), [3, 1, 2]),
    ?assertEqual([{3, <<3>>}, {1, <<1>>}, {2, <<2>>}], starts(B)),
    ?assertEqual({0, 3}, py_backlog:counts(B)),
    ?assertEqual([true, false], [py_backlog:is_key(Id, B) || Id <- [1, 4]]).

starts(B) ->
    case py_backlog:next(B) of
        {start, Key, Payload, B1} -> [{Key, Payload} | starts(py_backlog:started(Key, worker(Key), B1))];
        {none, _} -> []
    end.

%% Stands for the process of that call.
worker(Key) -> list_to_pid("<0." ++ integer_to_list(1000 + Key) ++ ".0>").

backlog_limit(_) ->
    B1 = py_backlog:add(1, <<>>, 0, py_backlog:new(1)),
    B2 = py_backlog:add(2, <<>>, 0, B1),
    {start, 1, _, B3} = py_backlog:next(B2),
    B4 = py_backlog:started(1, worker(1), B3),
    {none, B5} = py_backlog:next(B4),
    ?assertEqual({1, 1}, py_backlog:counts(B5)),
    ?assertEqual({ok, 1}, py_backlog:key(worker(1), B5)),
    B6 = py_backlog:over(1, B5),
    ?assertEqual(error, py_backlog:key(worker(1), B6)),
    {none, B7} = py_backlog:ended(worker(1), B6),
    {start, 2, _, _} = py_backlog:next(B7).

%% A cancelled call that runs keeps its place until its process has ended.
backlog_cancel(_) ->
    B1 = py_backlog:add(1, <<>>, 0, py_backlog:new(1)),
    B2 = py_backlog:add(2, <<>>, 0, B1),
    B3 = py_backlog:add(3, <<>>, 0, B2),
    {start, 1, _, B4} = py_backlog:next(B3),
    Worker = worker(1),
    {kill, Worker, B5} = py_backlog:cancel(1, py_backlog:started(1, Worker, B4)),
    {ok, B6} = py_backlog:cancel(2, B5),
    {ok, B6} = py_backlog:cancel(2, B6),
    ?assertEqual({1, 1}, py_backlog:counts(B6)),
    {none, B7} = py_backlog:next(B6),
    ?assertEqual(error, py_backlog:key(Worker, B7)),
    {none, B8} = py_backlog:ended(Worker, B7),
    {start, 3, _, B9} = py_backlog:next(B8),
    ?assertEqual([worker(3)], py_backlog:workers(py_backlog:started(3, worker(3), B9))).

%% One id comes round again while its cancelled predecessor still stands in the queue: it runs once.
backlog_reused_id(_) ->
    B1 = py_backlog:add(1, <<"old">>, 0, py_backlog:new(9)),
    {ok, B2} = py_backlog:cancel(1, B1),
    B3 = py_backlog:add(1, <<"new">>, 0, B2),
    ?assertEqual([{1, <<"new">>}], starts(B3)).

%% Cancelled calls leave nothing in the queue, whatever stands before them.
backlog_cancelled_many(_) ->
    B1 = py_backlog:add(first, <<>>, 0, py_backlog:new(1)),
    B2 = py_backlog:add(last, <<>>, 0, B1),
    B3 = lists:foldl(fun(Id, B) ->
        Added = py_backlog:add(Id, <<Id:64>>, 8, B),
        {ok, Cancelled} = py_backlog:cancel(Id, Added),
        Cancelled
    end, B2, lists:seq(1, 200000)),
    ?assert(erts_debug:flat_size(B3) < 2000, erts_debug:flat_size(B3)),
    ?assertEqual({0, 2}, py_backlog:counts(B3)),
    {start, first, _, B4} = py_backlog:next(B3),
    B5 = py_backlog:over(first, py_backlog:started(first, self(), B4)),
    {start, last, _, _} = py_backlog:next(B5),
    %% As many that wait, every other one cancelled.
    Add = fun(Id, B) -> py_backlog:add(Id, <<>>, 0, B) end,
    Cancel = fun(Id, B) -> {ok, Cancelled} = py_backlog:cancel(Id, B), Cancelled end,
    Full = lists:foldl(Add, py_backlog:new(200000), lists:seq(1, 200000)),
    Half = lists:foldl(Cancel, Full, lists:seq(1, 200000, 2)),
    ?assertEqual({0, 100000}, py_backlog:counts(Half)),
    ?assertEqual(lists:seq(2, 40, 2), taken(20, Half)).

taken(0, _Backlog) ->
    [];
taken(Left, Backlog) ->
    {start, Key, _, Backlog1} = py_backlog:next(Backlog),
    [Key | taken(Left - 1, py_backlog:started(Key, spawn(fun() -> ok end), Backlog1))].

%% What is counted goes with the call, however it goes.
backlog_bytes(_) ->
    B0 = py_backlog:new(1),
    B1 = py_backlog:add(1, <<"abc">>, 3, B0),
    B2 = py_backlog:add(2, <<"defgh">>, 5, B1),
    B3 = py_backlog:run(3, 7, worker(3), B2),
    B4 = py_backlog:add_first([{{4, 1}, <<"0123456789">>}], B3),
    ?assertEqual([0, 3, 8, 15, 25], [py_backlog:bytes(B) || B <- [B0, B1, B2, B3, B4]]),
    {start, {4, 1}, _, B5} = py_backlog:next(B4),
    B6 = py_backlog:started({4, 1}, worker(4), B5),
    {none, B7} = py_backlog:next(B6),
    {ok, 3, B8} = py_backlog:ended(worker(3), B7),
    {ok, B9} = py_backlog:cancel(2, B8),
    {kill, _, B10} = py_backlog:cancel({4, 1}, B9),
    ?assertEqual([25, 18, 13, 3], [py_backlog:bytes(B) || B <- [B7, B8, B9, B10]]),
    {none, B11} = py_backlog:next(B10),
    {none, B12} = py_backlog:ended(worker(4), B11),
    {start, 1, _, B13} = py_backlog:next(B12),
    ?assertEqual(0, py_backlog:bytes(py_backlog:over(1, py_backlog:started(1, worker(1), B13)))).

%% Calls

handshake(_) ->
    {Socket, Channel} = py_client:async(),
    ?assertMatch({links, [_ | _]}, process_info(Channel, links)),
    call(Socket, 1, <<"double_it">>, [21]),
    {3, 1, 42} = py_client:recv(Socket).

own_process(_) ->
    {Socket, Channel} = py_client:async(),
    [call(Socket, Id, <<"whoami">>, []) || Id <- [1, 2, 3]],
    Pids = [begin {3, _, Pid} = py_client:recv(Socket), Pid end || _ <- [1, 2, 3]],
    ?assertEqual(4, length(lists:usort([Channel | Pids]))).

%% The quick one does not wait for the slow one.
answers_as_they_come(_) ->
    {Socket, _} = py_client:async(),
    Pid = held(Socket, 1),
    call(Socket, 2, <<"double_it">>, [21]),
    {3, 2, 42} = py_client:recv(Socket),
    Pid ! go,
    {3, 1, gone} = py_client:recv(Socket).

ten_thousand(_) ->
    {Socket, Channel} = py_client:async(),
    Ids = lists:seq(1, 10000),
    spawn_link(fun() -> [call(Socket, Id, <<"sleep_random">>, [5, Id]) || Id <- Ids] end),
    Answers = [py_client:recv(Socket) || _ <- Ids],
    ?assertEqual([{3, Id, Id} || Id <- Ids], lists:sort(Answers)),
    ?assertEqual({0, 0}, counts(Channel)).

limit(_) ->
    {Socket, Channel} = py_client:async(),
    A = held(Socket, 1),
    B = held(Socket, 2),
    call(Socket, 3, <<"hold">>, []),
    call(Socket, 4, <<"double_it">>, [21]),
    eventually(fun() -> counts(Channel) =:= {2, 2} end),
    receive {held, _} -> error(over_limit) after 0 -> ok end,
    B ! go,
    {3, 2, gone} = py_client:recv(Socket),
    C = receive {held, Pid} -> Pid end,
    A ! go,
    ?assertEqual([{3, 1, gone}, {3, 4, 42}], lists:sort([py_client:recv(Socket), py_client:recv(Socket)])),
    C ! go,
    {3, 3, gone} = py_client:recv(Socket).

waiting_not_losing(_) ->
    {Socket, _} = py_client:async(),
    Running = counters:new(1, []),
    Most = ets:new(most, [public]),
    ok = py:register_function(counted, fun([X]) ->
        counters:add(Running, 1, 1),
        ets:insert(Most, {counters:get(Running, 1)}),
        erlang:yield(),
        counters:sub(Running, 1, 1),
        X
    end),
    spawn_link(fun() -> [call(Socket, Id, <<"counted">>, [Id]) || Id <- lists:seq(1, 2000)] end),
    Answers = [py_client:recv(Socket) || _ <- lists:seq(1, 2000)],
    ?assertEqual([{3, Id, Id} || Id <- lists:seq(1, 2000)], lists:sort(Answers)),
    ?assert(lists:max([N || {N} <- ets:tab2list(Most)]) =< 3).

%% Failures

errors(_) ->
    {Socket, _} = py_client:async(),
    [begin
        py_client:send_frame(Socket, 2, 7, Payload),
        {4, 7, Failure} = py_client:recv(Socket),
        ?assertEqual({Payload, Expected}, {Payload, setelement(tuple_size(Failure), Failure, '_')})
     end || {Payload, Expected} <- [
        {term_to_binary({<<"fail_error">>, []}), {raised, error, badarith, <<"error: badarith">>, '_'}},
        {term_to_binary({<<"fail_throw">>, []}), {raised, throw, ball, <<"throw: ball">>, '_'}},
        {term_to_binary({<<"fail_exit">>, []}), {raised, exit, bye, <<"exit: bye">>, '_'}},
        {term_to_binary({<<"nope">>, []}), {not_registered, '_'}},
        {term_to_binary(nonsense), {bad_term, '_'}},
        {<<131, 104, 2>>, {bad_term, '_'}}
    ]],
    call(Socket, 8, <<"double_it">>, [21]),
    {3, 8, 42} = py_client:recv(Socket).

%% One that ends without a word is an error of its call, and of no other.
killed_function(_) ->
    {Socket, _} = py_client:async(),
    Pid = held(Socket, 1),
    call(Socket, 2, <<"kill_me">>, []),
    ?assertMatch({4, 2, {raised, exit, killed, <<"exit: killed", _/binary>>, []}}, py_client:recv(Socket)),
    ok = py:register_function(end_me, fun([]) -> exit(self(), normal), receive never -> ok end end),
    call(Socket, 3, <<"end_me">>, []),
    ?assertEqual({4, 3, {raised, exit, normal, <<"exit: normal">>, []}}, py_client:recv(Socket)),
    Pid ! go,
    {3, 1, gone} = py_client:recv(Socket).

%% What a function has linked itself to lives on when it is through, and ends it when it crashes.
function_links(_) ->
    {Socket, _} = py_client:async(),
    ok = py:register_function(linked, fun([]) -> spawn_link(fun() -> receive stop -> ok end end) end),
    ok = py:register_function(crashed, fun([]) -> spawn_link(fun() -> exit(boom) end), receive never -> ok end end),
    call(Socket, 1, <<"linked">>, []),
    {3, 1, Helper} = py_client:recv(Socket),
    call(Socket, 2, <<"crashed">>, []),
    {4, 2, {raised, exit, boom, <<"exit: boom">>, []}} = py_client:recv(Socket),
    ?assert(is_process_alive(Helper)),
    Helper ! stop.

large_answers(_) ->
    {Socket, _} = py_client:async(),
    Sizes = [0, 1, 100, 8192, 65536, 1000000, 5000000],
    [call(Socket, Size + 1, <<"blob">>, [Size]) || Size <- Sizes],
    Answers = [py_client:recv(Socket) || _ <- Sizes],
    ?assertEqual(Sizes, lists:sort([byte_size(Blob) || {3, Id, Blob} <- Answers, byte_size(Blob) + 1 =:= Id])).

%% A large binary waits for the socket where it is.
large_answer_uncopied(_) ->
    Blob = binary:copy(<<"erlpy">>, 4000000),
    ok = py:register_function(tagged, fun([]) -> [tag, Blob] end),
    {Socket, Channel} = py_client:async(),
    Before = erlang:memory(binary),
    call(Socket, 1, <<"tagged">>, []),
    eventually(fun() -> blocked(Channel) end),
    ?assert(erlang:memory(binary) - Before < byte_size(Blob) div 2, erlang:memory(binary) - Before),
    ?assertEqual({3, 1, [tag, Blob]}, py_client:recv(Socket)).

over_limit_result(_) ->
    {Socket, _} = py_client:async(),
    call(Socket, 1, <<"blob">>, [65536]),
    {4, 1, {limit, <<"a frame of 65547 bytes is over the limit of 65536 (setting max_frame)">>}} = py_client:recv(Socket).

%% Cancelling

cancel_running(_) ->
    {Socket, Channel} = py_client:async(),
    Pid = held(Socket, 1),
    Monitor = py_client:watch(Pid),
    cancel(Socket, 1),
    receive {'DOWN', Monitor, _, _, Reason} -> ?assertEqual(killed, Reason) after 1000 -> error(lives) end,
    eventually(fun() -> counts(Channel) =:= {0, 0} end),
    call(Socket, 2, <<"double_it">>, [21]),
    {3, 2, 42} = py_client:recv(Socket).

%% It never starts.
cancel_waiting(_) ->
    {Socket, _} = py_client:async(),
    A = held(Socket, 1),
    B = held(Socket, 2),
    [call(Socket, Id, <<"hold">>, []) || Id <- [3, 4]],
    cancel(Socket, 3),
    call(Socket, 5, registered, [<<"hold">>]),
    {3, 5, true} = py_client:recv(Socket),
    [Pid ! go || Pid <- [A, B]],
    [1, 2] = lists:sort([begin {3, Id, gone} = py_client:recv(Socket), Id end || _ <- [1, 2]]),
    receive {held, Pid} -> Pid ! go end,
    {3, 4, gone} = py_client:recv(Socket),
    receive {held, _} -> error(started) after 0 -> ok end.

cancel_over(_) ->
    {Socket, _} = py_client:async(),
    call(Socket, 1, <<"double_it">>, [21]),
    {3, 1, 42} = py_client:recv(Socket),
    [cancel(Socket, Id) || Id <- [1, 99]],
    call(Socket, 1, <<"double_it">>, [2]),
    {3, 1, 4} = py_client:recv(Socket).

cancel_frees_place(_) ->
    {Socket, _} = py_client:async(),
    [held(Socket, Id) || Id <- [1, 2]],
    [call(Socket, Id, <<"double_it">>, [Id]) || Id <- [3, 4]],
    cancel(Socket, 1),
    {3, 3, 6} = py_client:recv(Socket),
    {3, 4, 8} = py_client:recv(Socket).

cancel_trapping(_) ->
    Me = self(),
    {Socket, _} = py_client:async(),
    ok = py:register_function(trap, fun([]) -> process_flag(trap_exit, true), Me ! {held, self()}, receive never -> ok end end),
    call(Socket, 1, <<"trap">>, []),
    Pid = receive {held, P} -> P end,
    Monitor = py_client:watch(Pid),
    cancel(Socket, 1),
    receive {'DOWN', Monitor, _, _, killed} -> ok after 1000 -> error(lives) end.

%% Other frames

cast(_) ->
    ok = logger:add_handler(?MODULE, ?MODULE, #{config => #{to => self()}}),
    Me = self(),
    {Socket, _} = py_client:async(),
    ok = py:register_function(tell, fun([X]) -> Me ! {told, X, self()} end),
    [py_client:send_frame(Socket, 5, 0, term_to_binary({<<"tell">>, [X]})) || X <- [1, 2]],
    Pids = [receive {told, X, Pid} -> Pid end || X <- [1, 2]],
    ?assertEqual(2, length(lists:usort(Pids))),
    py_client:send_frame(Socket, 5, 0, term_to_binary({<<"fail_error">>, []})),
    receive {logged, #{msg := {report, #{what := py_cast_failed}}}} -> ok after 1000 -> error(not_logged) end,
    call(Socket, 1, <<"double_it">>, [21]),
    {3, 1, 42} = py_client:recv(Socket).

log(Event, #{config := #{to := Pid}}) -> Pid ! {logged, Event}, ok.

operations(_) ->
    {Socket, _} = py_client:async(),
    call(Socket, 1, state_incr, [<<"n">>, 5]),
    {3, 1, 5} = py_client:recv(Socket),
    call(Socket, 2, send, [self(), hello]),
    {3, 2, ok} = py_client:recv(Socket),
    receive hello -> ok after 0 -> error(not_sent) end.

%% Nobody's thread waits at the other end, so a call of Python looks for a context as any process's does.
python_elsewhere(_) ->
    {Socket, _} = py_client:async(),
    ok = py:register_function(ask, fun([]) -> py:eval("1") end),
    call(Socket, 1, <<"ask">>, []),
    {3, 1, {error, {host_down, <<"no Python host is configured (setting hosts)">>}}} = py_client:recv(Socket).

%% A side that reads nothing for a while: nothing is lost, and no more is started than it takes.
unread_answers(_) ->
    {Socket, Channel} = py_client:async(),
    [call(Socket, Id, <<"blob">>, [100000]) || Id <- lists:seq(1, 2000)],
    eventually(fun() -> blocked(Channel) end),
    {_, Waiting} = counts(Channel),
    ?assert(Waiting > 0),
    Ids = [begin {3, Id, _} = py_client:recv(Socket), Id end || _ <- lists:seq(1, 2000)],
    ?assertEqual(lists:seq(1, 2000), lists:sort(Ids)).

cancel_while_unread(_) ->
    {Socket, Channel} = py_client:async(),
    Pid = held(Socket, 1),
    [call(Socket, Id, <<"blob">>, [1000000]) || Id <- lists:seq(2, 10)],
    eventually(fun() -> blocked(Channel) end),
    Monitor = py_client:watch(Pid),
    cancel(Socket, 1),
    receive {'DOWN', Monitor, _, _, killed} -> ok after 1000 -> error(lives) end.

byte_by_byte(_) ->
    {Socket, _} = py_client:async(),
    Payload = term_to_binary({<<"double_it">>, [21]}),
    [py_client:send(Socket, [Byte]) || <<Byte>> <= py_client:frame(5 + byte_size(Payload), 2, 9, Payload)],
    {3, 9, 42} = py_client:recv(Socket).

%% Ends

id_in_use(_) ->
    ends(fun(Socket) -> call(Socket, 1, <<"double_it">>, [1]) end).

unexpected_frame(_) ->
    ends(fun(Socket) -> py_client:send_frame(Socket, 3, 1, term_to_binary(1)) end).

ends(Wrong) ->
    {Socket, Channel} = py_client:async(),
    Pid = held(Socket, 1),
    Monitors = [py_client:watch(P) || P <- [Pid, Channel]],
    Wrong(Socket),
    [killed, {shutdown, _}] = [receive {'DOWN', M, _, _, R} -> R after 1000 -> error(lives) end || M <- Monitors],
    ?assert(py_client:eof(Socket)).

end_kills_functions(_) -> goes(fun(Socket, _) -> py_client:close(Socket) end, killed, normal).

killed_channel_kills_functions(_) -> goes(fun(_, Channel) -> exit(Channel, kill) end, killed, killed).

bye(_) -> goes(fun(Socket, _) -> py_client:send_frame(Socket, 7, 0, <<>>) end, killed, normal).

stop_app(_) -> goes(fun(_, _) -> ok = application:stop(erlang_python) end, killed, {shutdown, shutdown}).

goes(End, FunctionReason, ChannelReason) ->
    {Socket, Channel} = py_client:async(),
    Pid = held(Socket, 1),
    Monitors = [py_client:watch(P) || P <- [Pid, Channel]],
    End(Socket, Channel),
    ?assertEqual([FunctionReason, ChannelReason],
                 [receive {'DOWN', M, _, _, R} -> R after 1000 -> error(lives) end || M <- Monitors]).

%% The process itself

stray_message(_) ->
    {Socket, Channel} = py_client:async(),
    ok = logger:add_handler(?MODULE, ?MODULE, #{config => #{to => self()}}),
    Channel ! {hello, there},
    receive {logged, #{msg := {report, #{what := py_stray_message, message := {hello, there}}}}} -> ok
    after 1000 -> error(not_logged) end,
    exit(Channel, whatever),
    call(Socket, 1, <<"double_it">>, [21]),
    {3, 1, 42} = py_client:recv(Socket).

%% A function finds the channel among its links, and may send it anything.
forged_messages(_) ->
    {Socket, Channel} = py_client:async(),
    Pid = held(Socket, 1),
    Messages = [
        {'$gen_call', {self(), make_ref()}, hello}, {'$gen_cast', hello}, hello, {},
        {py_async, over, Pid, {ok, <<>>}}, {py_async, over, Pid, nonsense}, {make_ref(), Pid, {ok, <<131, 97, 1>>}},
        {make_ref(), Pid, {1, ok, <<131, 97, 1>>}}, {make_ref(), {split, Pid}}, {make_ref(), make_ref(), process, Pid, killed},
        {'DOWN', make_ref(), process, Pid, killed}, {'EXIT', Pid, killed}, {'EXIT', self(), killed},
        {timeout, make_ref(), read_on}, {timeout, make_ref(), {py_batches, 1}},
        {'$socket', Socket, select, make_ref()}, {'$socket', Socket, abort, {make_ref(), closed}},
        {system, self(), get_state}, {system, nonsense, {}}, {inet_reply, self(), ok}
    ],
    logger:set_primary_config(level, error),
    [Channel ! Message || Message <- Messages],
    call(Socket, 2, <<"double_it">>, [21]),
    ?assertEqual({3, 2, 42}, py_client:recv(Socket)),
    logger:set_primary_config(level, notice),
    ?assert(is_process_alive(Pid)),
    Pid ! go,
    ?assertEqual({3, 1, gone}, py_client:recv(Socket)).

%% A function that leaves the channel is waited for all the same, and ends with it in good order.
unlinked_function(_) ->
    {Socket, _} = py_client:async(),
    Me = self(),
    ok = py:register_function(unlinked, fun([How]) ->
        {links, Links} = process_info(self(), links),
        [unlink(Link) || Link <- Links],
        Me ! {unlinked, self()},
        case How of die -> exit(self(), kill); wait -> ok end,
        receive never -> ok end
    end),
    call(Socket, 1, <<"unlinked">>, [die]),
    {4, 1, {raised, exit, killed, <<"exit: killed", _/binary>>, []}} = py_client:recv(Socket),
    receive {unlinked, _} -> ok end,
    call(Socket, 2, <<"unlinked">>, [wait]),
    Monitor = receive {unlinked, Pid} -> py_client:watch(Pid) end,
    py_client:close(Socket),
    receive {'DOWN', Monitor, _, _, Reason} -> ?assertEqual(killed, Reason) end.

%% Whatever a function waits for, the builtins that may bring it about are not queued behind it.
builtins_beyond_limit(_) ->
    {Socket, Channel} = py_client:async(),
    Pid = held(Socket, 1),
    call(Socket, 2, <<"double_it">>, [21]),
    call(Socket, 3, state_incr, [<<"builtins">>, 5]),
    ?assertEqual({3, 3, 5}, py_client:recv(Socket)),
    call(Socket, 4, registered, [<<"hold">>]),
    ?assertEqual({3, 4, true}, py_client:recv(Socket)),
    py_client:send_frame(Socket, 2, 5, term_to_binary(nonsense)),
    ?assertMatch({4, 5, {bad_term, _}}, py_client:recv(Socket)),
    ?assertEqual({1, 1}, counts(Channel)),
    py_client:send_frame(Socket, 5, 0, term_to_binary({send, [Pid, go]})),
    ?assertEqual([{3, 1, gone}, {3, 2, 42}], lists:sort([py_client:recv(Socket), py_client:recv(Socket)])).

%% How a Python thread that has given up on a call has its function killed.
kill_at_limit(_) ->
    {Socket, _} = py_client:async(),
    _ = held(Socket, 1),
    {_, Victim} = victim(),
    call(Socket, 2, cancel, [Victim]),
    ?assertEqual({3, 2, true}, py_client:recv(Socket)),
    receive {'DOWN', _, _, Victim, Reason} -> ?assertEqual({shutdown, cancelled}, Reason) end.

kill_while_unread(_) ->
    {Socket, Channel} = py_client:async(),
    [call(Socket, Id, <<"blob">>, [1000000]) || Id <- lists:seq(2, 10)],
    eventually(fun() -> blocked(Channel) end),
    {_, Victim} = victim(),
    py_client:send_frame(Socket, 5, 0, term_to_binary({cancel, [Victim]})),
    receive {'DOWN', _, _, Victim, Reason} -> ?assertEqual({shutdown, cancelled}, Reason) end.

%% A thread's handler in a function, monitored.
victim() ->
    {Thread, Handler} = py_client:thread(),
    Me = self(),
    ok = py:register_function(victim, fun([]) -> Me ! {victim, self()}, receive never -> ok end end),
    call(Thread, 1, <<"victim">>, []),
    receive {victim, Handler} -> ok end,
    _ = py_client:watch(Handler),
    {Thread, Handler}.

killed_cast(_) ->
    ok = logger:add_handler(?MODULE, ?MODULE, #{config => #{to => self()}}),
    {Socket, Channel} = py_client:async(),
    py_client:send_frame(Socket, 5, 0, term_to_binary({<<"kill_me">>, []})),
    receive {logged, #{msg := {report, #{what := py_cast_failed, failure := Failure}}}} ->
        ?assertMatch({raised, exit, killed, _, _}, Failure)
    after 1000 -> error(not_logged) end,
    eventually(fun() -> counts(Channel) =:= {0, 0} end).

%% Limits

%% Beyond the bound the channel reads hardly anything, until calls are over; and loses nothing.
queue_bound(_) ->
    {Socket, Channel} = py_client:async(),
    Pid = held(Socket, 1),
    ok = py:register_function(size, fun([Blob]) -> byte_size(Blob) end),
    ok = py:register_function(wait, fun([Blob]) ->
        Monitor = monitor(process, Pid),
        receive {'DOWN', Monitor, _, _, _} -> byte_size(Blob) end
    end),
    spawn_link(fun() ->
        [call(Socket, Id, <<"wait">>, [binary:copy(<<Id>>, 20000 + Id)]) || Id <- lists:seq(2, 200)]
    end),
    eventually(fun() -> proplists:get_value("Paused", status(Channel)) end),
    ?assert(proplists:get_value("Queued", status(Channel)) < 1000000),
    Pid ! go,
    Answers = lists:sort([py_client:recv(Socket) || _ <- lists:seq(1, 200)]),
    ?assertEqual([{3, 1, gone} | [{3, Id, 20000 + Id} || Id <- lists:seq(2, 200)]], Answers),
    eventually(fun() -> not proplists:get_value("Paused", status(Channel)) end),
    ?assertEqual(0, proplists:get_value("Queued", status(Channel))).

%% All functions may wait for ever: a cancel frame is found all the same.
queue_bound_cancel(_) ->
    {Socket, Channel} = py_client:async(),
    Pid = held(Socket, 1),
    Monitor = py_client:watch(Pid),
    hold_with(Socket, [2, 3, 4, 5]),
    cancel(Socket, 1),
    receive {'DOWN', Monitor, _, _, Reason} -> ?assertEqual(killed, Reason) end,
    ?assert(proplists:get_value("Queued", status(Channel)) > 200000),
    [cancel(Socket, Id) || Id <- [2, 3, 4, 5]],
    call(Socket, 6, <<"double_it">>, [21]),
    ?assertEqual({3, 6, 42}, py_client:recv(Socket)),
    ?assertEqual(0, proplists:get_value("Queued", status(Channel))).

%% So is the end of the program.
queue_bound_end(_) ->
    {Socket, Channel} = py_client:async(),
    Monitor = py_client:watch(Channel),
    hold_with(Socket, [2, 3, 4, 5]),
    py_client:close(Socket),
    receive {'DOWN', Monitor, _, _, Reason} -> ?assertEqual(normal, Reason) end.

hold_with(Socket, Ids) ->
    ok = py:register_function(hold_with, fun([_]) -> receive never -> ok end end),
    [call(Socket, Id, <<"hold_with">>, [binary:copy(<<"x">>, 60000)]) || Id <- Ids].

%% Answers that nobody reads count too.
unread_bound(_) ->
    {Socket, Channel} = py_client:async(),
    [call(Socket, Id, <<"blob">>, [1000000]) || Id <- [1, 2, 3]],
    eventually(fun() -> proplists:get_value("Queued", status(Channel)) > 1000000 end),
    call(Socket, 4, <<"double_it">>, [21]),
    ?assertEqual([1, 2, 3, 4], lists:sort([begin {3, Id, _} = py_client:recv(Socket), Id end || _ <- [1, 2, 3, 4]])),
    eventually(fun() -> proplists:get_value("Queued", status(Channel)) =:= 0 end).

%% A call that waits does not keep the large one that was read with it.
payload_released(_) ->
    {Socket, Channel} = py_client:async(),
    Pid = held(Socket, 1),
    Frame = fun(Id, Payload) -> py_client:frame(5 + byte_size(Payload), 2, Id, Payload) end,
    ok = py:register_function(size, fun([Blob]) -> byte_size(Blob) end),
    Large = Frame(2, term_to_binary({<<"size">>, [binary:copy(<<"x">>, 8000000)]})),
    Small = [Frame(Id, term_to_binary({<<"size">>, [binary:copy(<<"y">>, 100)]})) || Id <- lists:seq(3, 12)],
    ok = socket:send(Socket, [Large | Small]),
    eventually(fun() -> counts(Channel) =:= {1, 11} end),
    cancel(Socket, 2),
    call(Socket, 13, registered, [<<"size">>]),
    {3, 13, true} = py_client:recv(Socket),
    eventually(fun() -> true = erlang:garbage_collect(Channel), binaries(Channel) < 100000 end),
    Pid ! go,
    ?assertEqual([1 | lists:seq(3, 12)], lists:sort([begin {3, Id, _} = py_client:recv(Socket), Id end || _ <- lists:seq(1, 11)])).

binaries(Pid) ->
    {binary, Binaries} = process_info(Pid, binary),
    lists:sum([Size || {_, Size, _} <- Binaries]).

get_status(_) ->
    {Socket, Channel} = py_client:async(),
    [held(Socket, Id) || Id <- [1, 2]],
    call(Socket, 3, <<"hold">>, []),
    ok = sys:trace(Channel, true),
    cancel(Socket, 1),
    receive {held, Pid} -> Pid ! go end,
    {3, 3, gone} = py_client:recv(Socket),
    ok = sys:trace(Channel, false),
    ?assertEqual({1, 0}, counts(Channel)).

suspend_resume(_) ->
    {Socket, Channel} = py_client:async(),
    ok = sys:suspend(Channel),
    call(Socket, 1, <<"double_it">>, [21]),
    ?assertEqual({error, timeout}, socket:recv(Socket, 0, 50)),
    ok = sys:resume(Channel),
    {3, 1, 42} = py_client:recv(Socket).

not_among_threads(_) ->
    {Socket, _} = py_client:async(),
    {ok, #{handlers := []}} = py:stats(),
    {_, Handler} = py_client:thread(),
    {ok, #{handlers := [Handler]}} = py:stats(),
    py_client:close(Socket),
    {ok, #{handlers := [Handler]}} = py:stats().

%% Tools

call(Socket, Id, Target, Args) -> py_client:send_frame(Socket, 2, Id, term_to_binary({Target, Args})).

cancel(Socket, Id) -> py_client:send_frame(Socket, 6, Id, <<>>).

%% A call under that id that runs until its process is told to go.
held(Socket, Id) ->
    Me = self(),
    ok = py:register_function(hold, fun([]) -> Me ! {held, self()}, receive go -> gone end end),
    call(Socket, Id, <<"hold">>, []),
    receive {held, Pid} -> Pid end.

counts(Channel) ->
    Data = status(Channel),
    {proplists:get_value("Running", Data), proplists:get_value("Waiting", Data)}.

blocked(Channel) -> proplists:get_value("Blocked", status(Channel)).

status(Channel) ->
    {status, Channel, {module, py_async}, [_, _, _, _, Status]} = sys:get_status(Channel),
    {data, Data} = lists:keyfind(data, 1, Status),
    Data.

eventually(Holds) ->
    case Holds() of
        true -> ok;
        false -> erlang:yield(), eventually(Holds)
    end.
