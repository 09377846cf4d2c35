%% Batches on an async channel (PROTOCOL.md, section 4.1), spoken to over a real socket. No Python.
-module(py_batch_SUITE).

-include_lib("stdlib/include/assert.hrl").

-compile([export_all, nowarn_export_all]).

suite() -> [{timetrap, {seconds, 60}}].

all() ->
    pure() ++ [
        answered_together, one_process, one_call, failures, small_results, large_results, over_limit_result,
        blocked_call, call_waits_for_the_next, slow_function, limit, limit_in_a_queue,
        killed_process, ended_process, killed_by_a_link, left_message, left_name, left_state, erased_dictionary,
        replaced_meanwhile,
        cannot_be_decoded, wrong_boundaries, cancel_running, cancel_split, cancel_waiting, cancel_over,
        malformed, id_in_use, id_in_use_after_split, channel_ends, status
    ].

pure() -> [payloads, refused, rows, slow].

init_per_testcase(Case, Config) ->
    case lists:member(Case, pure()) of
        true ->
            Config;
        false ->
            ok = py_client:start_app(settings(Case)),
            ok = py_peer:register(),
            Config
    end.

end_per_testcase(_Case, _Config) -> py_client:stop_app().

settings(Case) when Case =:= limit; Case =:= limit_in_a_queue; Case =:= cancel_waiting -> [{max_async, 2}];
settings(over_limit_result) -> [{max_frame, 65536}];
settings(_) -> [].

%% Frames

payloads(_) ->
    {ok, Batch} = py_batch:new(7, payload(<<"f">>, [1, <<"two">>, [3]])),
    ?assertEqual({7, <<"f">>, 3}, {py_batch:id(Batch), py_batch:name(Batch), py_batch:count(Batch)}),
    Calls = [{Index, binary_to_term(Payload)} || {Index, Payload} <- py_batch:calls(1, Batch)],
    ?assertEqual([{1, {<<"f">>, [1]}}, {2, {<<"f">>, [<<"two">>]}}, {3, {<<"f">>, [[3]]}}], Calls),
    ?assertEqual(tl(tl(Calls)), [{Index, binary_to_term(Payload)} || {Index, Payload} <- py_batch:calls(3, Batch)]),
    ?assertEqual([], py_batch:calls(4, Batch)).

refused(_) ->
    Good = payload(<<"f">>, [1, 2]),
    [?assertEqual(error, py_batch:new(1, Payload)) || Payload <- [
        <<>>, term_to_binary({<<"f">>, [1]}), term_to_binary({f, <<>>, [1]}), <<Good/binary, 0>>, binary:part(Good, 0, byte_size(Good) - 1),
        payload(<<"f">>, []), sized(<<"f">>, [1, 2], [2]), sized(<<"f">>, [1, 2], [2, 3]), sized(<<"f">>, [1, 2], [2, 16#FFFFFFFF])
    ]].

%% Results in a row go together as long as they fit, and failures by themselves.
rows(_) ->
    Ok = fun(Index, Term) -> {Index, ok, term_to_binary(Term)} end,
    Answers = [Ok(1, a), Ok(2, b), {3, error, term_to_binary(bad)}, Ok(4, 4), Ok(6, 6), Ok(7, <<0:131072>>), Ok(8, 8)],
    ?assertEqual([{3, 9, {1, a, b}}, {4, 9, {3, bad}}, {3, 9, {4, 4}}, {3, 9, {6, 6}}, {3, 9, {7, <<0:131072>>}}, {3, 9, {8, 8}}],
                 decoded(py_batch:frames(9, Answers))),
    ?assertEqual([], decoded(py_batch:frames(9, []))).

decoded(Frames) -> decode(iolist_to_binary(Frames)).

decode(<<Length:32, Kind, Id:32, Rest/binary>>) ->
    Size = Length - 5,
    <<Payload:Size/binary, More/binary>> = Rest,
    [{Kind, Id, binary_to_term(Payload)} | decode(More)];
decode(<<>>) ->
    [].

%% A function whose first call is not over when the batch is split: the next calls of it have a
%% process each, for a while. One that is slow later on, or was not begun, is not slow.
slow(_) ->
    Batch = fun(Id, Name) -> {ok, B} = py_batch:new(Id, payload(Name, lists:seq(1, 1024))), B end,
    Split = fun(Id, Name, Begun, Answered, B0) ->
        {together, B1} = py_batches:add(Batch(Id, Name), B0),
        {Claims, B2} = py_batches:start(Id, B1),
        [true = py_batches:claim(Index, Claims) || Index <- lists:seq(1, Begun)],
        Kept = [{Index, ok, <<131, 97, 1>>} || Index <- lists:seq(Answered, 1, -1)],
        {_, Calls, _, B3} = py_batches:split(Id, Kept, B2),
        ?assertEqual(1024 - Begun, length(Calls)),
        false = py_batches:claim(Begun + 1, Claims),
        B3
    end,
    B1 = Split(3, <<"f">>, 1, 1, Split(2, <<"f">>, 2, 1, Split(1, <<"f">>, 0, 0, py_batches:new(65536)))),
    B2 = Split(4, <<"f">>, 1, 0, B1),
    {together, B3} = py_batches:add(Batch(5, <<"g">>), B2),
    B4 = lists:foldl(fun(Id, B) ->
        {alone, Calls, Added} = py_batches:add(Batch(Id, <<"f">>), B),
        ?assertEqual([{Id, Index} || Index <- lists:seq(1, 1024)], [Key || {Key, _} <- Calls]),
        Added
    end, B3, [6, 7, 8, 9]),
    {together, _} = py_batches:add(Batch(10, <<"f">>), B4).

%% Batches that are through in time

%% Always in order, and in one frame unless the machine was too busy for that.
answered_together(_) ->
    {Socket, Channel} = py_client:async(),
    Args = lists:seq(1000, 1099),
    Together = {3, 5, list_to_tuple([1 | [2 * N || N <- Args]])},
    eventually(fun() ->
        calls(Socket, 5, <<"double_it">>, Args),
        case py_client:recv(Socket) of
            Together -> true;
            {3, 5, Answer} -> _ = collect(Socket, 5, 100 - (tuple_size(Answer) - 1)), false
        end
    end),
    eventually(fun() -> counts(Channel) =:= {0, 0} end).

one_process(_) ->
    {Socket, Channel} = py_client:async(),
    ok = py:register_function(pid, fun([_]) -> self() end),
    eventually(fun() ->
        calls(Socket, 1, <<"pid">>, [a, b, c]),
        Pids = results(Socket, 1, 3),
        ?assertNot(lists:member(Channel, Pids)),
        length(lists:usort(Pids)) =:= 1
    end).

one_call(_) ->
    {Socket, _} = py_client:async(),
    calls(Socket, 1, <<"double_it">>, [21]),
    {3, 1, {1, 42}} = py_client:recv(Socket),
    calls(Socket, 2, <<"maybe_fail">>, [42]),
    {4, 2, {1, {raised, error, <<"maybe_fail: 42">>, <<"error: <<\"maybe_fail: 42\">>">>, _}}} = py_client:recv(Socket).

failures(_) ->
    {Socket, _} = py_client:async(),
    calls(Socket, 1, <<"maybe_fail">>, [1, 2, 42, 4]),
    ?assertMatch([{1, 1}, {2, 2}, {3, {raised, error, <<"maybe_fail: 42">>, _, _}}, {4, 4}], collect(Socket, 1, 4)),
    calls(Socket, 2, <<"nope">>, [1, 2]),
    ?assertEqual([{Index, {not_registered, <<"nope">>}} || Index <- [1, 2]], collect(Socket, 2, 2)).

%% Bytes in a row are a string in a list, and are not in a tuple.
small_results(_) ->
    {Socket, _} = py_client:async(),
    calls(Socket, 1, <<"double_it">>, lists:seq(0, 99)),
    ?assertEqual([2 * N || N <- lists:seq(0, 99)], results(Socket, 1, 100)).

large_results(_) ->
    {Socket, _} = py_client:async(),
    Sizes = [10, 20000, 5, 5, 9000, 9000, 1000000, 1],
    calls(Socket, 1, <<"blob">>, Sizes),
    ?assertEqual(Sizes, [byte_size(Blob) || Blob <- results(Socket, 1, 8)]).

%% Its own failure, with the size that the frame would have had.
over_limit_result(_) ->
    {Socket, _} = py_client:async(),
    calls(Socket, 1, <<"blob">>, [1, 65515, 65516]),
    [{1, <<"x">>}, {2, Blob}, {3, Failure}] = collect(Socket, 1, 3),
    ?assertEqual(65515, byte_size(Blob)),
    ?assertEqual({limit, <<"a frame of 65537 bytes is over the limit of 65536 (setting max_frame)">>}, Failure).

%% Batches that are split

%% What was done before is answered, and what comes after is not held up.
blocked_call(_) ->
    {Socket, Channel} = py_client:async(),
    ok = register_hold(),
    calls(Socket, 1, <<"hold_at">>, [1, 2, hold, 4, 5]),
    Pid = receive {held, P} -> P end,
    ?assertEqual([{1, 1}, {2, 2}, {4, 4}, {5, 5}], collect(Socket, 1, 4)),
    Pid ! go,
    ?assertEqual({3, 1, {3, gone}}, py_client:recv(Socket)),
    eventually(fun() -> counts(Channel) =:= {0, 0} end).

call_waits_for_the_next(_) ->
    {Socket, _} = py_client:async(),
    Last = 200,
    calls(Socket, 1, <<"chain">>, [[<<"ct">>, N, Last] || N <- lists:seq(1, Last)]),
    ?assertEqual(lists:seq(1, Last), results(Socket, 1, Last)).

%% All at once, and the next ones without the detour.
slow_function(_) ->
    {Socket, _} = py_client:async(),
    ok = register_hold(),
    [begin
        calls(Socket, Id, <<"hold_at">>, lists:duplicate(100, hold)),
        [receive {held, Pid} -> Pid ! go end || Pid <- held(100)],
        ?assertEqual(lists:duplicate(100, gone), results(Socket, Id, 100))
     end || Id <- lists:seq(1, 10)].

held(Count) ->
    Pids = [receive {held, Pid} -> Pid end || _ <- lists:seq(1, Count)],
    ?assertEqual(Count, length(lists:usort(Pids))),
    [self() ! {held, Pid} || Pid <- Pids],
    Pids.

%% Those that are split wait for a place as all do.
limit(_) ->
    {Socket, Channel} = py_client:async(),
    ok = register_hold(),
    calls(Socket, 1, <<"hold_at">>, [hold, hold, hold, 4]),
    [A, B] = [receive {held, Pid} -> Pid end || _ <- [1, 2]],
    eventually(fun() -> counts(Channel) =:= {2, 2} end),
    receive {held, _} -> error(over_limit) after 0 -> ok end,
    A ! go,
    {3, 1, {First, gone}} = py_client:recv(Socket),
    C = receive {held, Pid} -> Pid end,
    B ! go,
    Answers = lists:sort([py_client:recv(Socket), py_client:recv(Socket)]),
    ?assertEqual([{3, 1, {3 - First, gone}}, {3, 1, {4, 4}}], Answers),
    C ! go,
    ?assertEqual({3, 1, {3, gone}}, py_client:recv(Socket)).

%% Those of a batch that is split are older than what has come after it.
limit_in_a_queue(_) ->
    {Socket, _} = py_client:async(),
    ok = register_hold(),
    call(Socket, 1, <<"hold_at">>, [hold]),
    A = receive {held, P1} -> P1 end,
    calls(Socket, 2, <<"hold_at">>, [hold, hold]),
    call(Socket, 3, <<"double_it">>, [21]),
    B = receive {held, P2} -> P2 end,
    A ! go,
    {3, 1, gone} = py_client:recv(Socket),
    C = receive {held, P3} -> P3 end,
    [P ! go || P <- [B, C]],
    Answers = lists:sort([py_client:recv(Socket) || _ <- [1, 2, 3]]),
    ?assertEqual([{3, 2, {1, gone}}, {3, 2, {2, gone}}, {3, 3, 42}], Answers).

%% Functions that end the process, or leave it as it was not

killed_process(_) ->
    {Socket, _} = py_client:async(),
    ok = py:register_function(die, fun([die]) -> exit(self(), kill), receive never -> ok end; ([X]) -> X end),
    calls(Socket, 1, <<"die">>, [1, 2, die, 4, die]),
    ?assertMatch([{1, 1}, {2, 2}, {3, {raised, exit, killed, <<"exit: killed", _/binary>>, []}}, {4, 4},
                  {5, {raised, exit, killed, <<"exit: killed", _/binary>>, []}}], collect(Socket, 1, 5)).

ended_process(_) ->
    {Socket, _} = py_client:async(),
    ok = py:register_function('end', fun([X]) -> exit(self(), X), receive never -> ok end end),
    calls(Socket, 1, <<"end">>, [normal, shutdown]),
    ?assertMatch([{1, {raised, exit, normal, _, []}}, {2, {raised, exit, shutdown, _, []}}], collect(Socket, 1, 2)).

%% What one has linked itself to cannot end another.
killed_by_a_link(_) ->
    {Socket, _} = py_client:async(),
    Me = self(),
    ok = py:register_function(link_or_wait, fun
        ([link]) -> spawn_link(fun() -> Me ! {helper, self()}, receive boom -> exit(boom) end end), linked;
        ([wait]) -> Me ! {waits, self()}, receive go -> waited end
    end),
    calls(Socket, 1, <<"link_or_wait">>, [link, wait]),
    Helper = receive {helper, H} -> H end,
    Waits = receive {waits, W} -> W end,
    Monitor = monitor(process, Helper),
    Helper ! boom,
    receive {'DOWN', Monitor, _, _, boom} -> ok end,
    Waits ! go,
    ?assertEqual([linked, waited], results(Socket, 1, 2)).

%% Nor a message that came late disturb it.
left_message(_) ->
    {Socket, _} = py_client:async(),
    ok = py:register_function(mailbox, fun([X]) -> self() ! X, process_info(self(), message_queue_len) end),
    calls(Socket, 1, <<"mailbox">>, [a, b, c]),
    ?assertEqual(lists:duplicate(3, {message_queue_len, 1}), results(Socket, 1, 3)).

left_name(_) ->
    {Socket, _} = py_client:async(),
    ok = py:register_function(name, fun([X]) -> Name = process_info(self(), registered_name), register(X, self()), Name end),
    calls(Socket, 1, <<"name">>, [a_name, b_name]),
    ?assertEqual([[], []], results(Socket, 1, 2)).

left_state(_) ->
    {Socket, _} = py_client:async(),
    ok = py:register_function(state, fun([X]) -> {put(state, X), process_flag(trap_exit, true), monitors()} end),
    calls(Socket, 1, <<"state">>, [a, b, c]),
    ?assertEqual(lists:duplicate(3, {undefined, false, 0}), results(Socket, 1, 3)),
    %% What can be undone lets the process go on.
    ok = py:register_function(undone, fun([X]) -> {put(state, X), process_flag(trap_exit, true), self()} end),
    calls(Socket, 2, <<"undone">>, [a, b, c]),
    [{_, _, Pid} | _] = Results = results(Socket, 2, 3),
    ?assertEqual(lists:duplicate(3, {undefined, false, Pid}), Results).

monitors() ->
    {monitors, Monitors} = process_info(self(), monitors),
    _ = monitor(process, whereis(py_sup)),
    length(Monitors).

%% Nothing of ours stands where a function may erase it.
erased_dictionary(_) ->
    {Socket, _} = py_client:async(),
    ok = register_hold(),
    ok = py:register_function(erasing, fun([X]) -> _ = erase(), case X of hold -> py_batch_SUITE ! {held, self()}, receive go -> gone end; _ -> X end end),
    calls(Socket, 1, <<"erasing">>, [1, 2, hold]),
    Pid = receive {held, P} -> P end,
    ?assertEqual([1, 2], results(Socket, 1, 2)),
    Pid ! go,
    {3, 1, {3, gone}} = py_client:recv(Socket).

%% Each call is of what the name stands for when it begins.
replaced_meanwhile(_) ->
    {Socket, _} = py_client:async(),
    Second = fun([_]) -> ok = py:unregister_function(changing), second end,
    ok = py:register_function(changing, fun([_]) -> ok = py:register_function(changing, Second), first end),
    calls(Socket, 1, <<"changing">>, [a, b, c]),
    ?assertMatch([{1, first}, {2, second}, {3, {not_registered, _}}], collect(Socket, 1, 3)).

%% What cannot be decoded

%% The other calls of its batch can.
cannot_be_decoded(_) ->
    {Socket, _} = py_client:async(),
    Unknown = <<119, 12, "never_before">>,
    calls_raw(Socket, 1, <<"echo">>, [<<97, 1>>, Unknown, <<97, 3>>]),
    ?assertMatch([{1, 1}, {2, {bad_term, _}}, {3, 3}], collect(Socket, 1, 3)).

wrong_boundaries(_) ->
    {Socket, _} = py_client:async(),
    calls_raw(Socket, 2, <<"echo">>, [<<97>>, <<1, 97, 2, 97, 3>>]),
    ?assertMatch([{1, {bad_term, _}}, {2, {bad_term, _}}], collect(Socket, 2, 2)).

%% Cancelling

%% It is killed, and what stands behind it never starts.
cancel_running(_) ->
    {Socket, Channel} = py_client:async(),
    ok = register_hold(),
    ok = sys:suspend(Channel),
    calls(Socket, 1, <<"hold_at">>, [hold, hold, hold]),
    cancel(Socket, 1),
    call(Socket, 2, <<"double_it">>, [21]),
    ok = sys:resume(Channel),
    {3, 2, 42} = py_client:recv(Socket),
    eventually(fun() -> counts(Channel) =:= {0, 0} end),
    case messages() of
        [] -> ok;
        [{held, Pid}] -> ?assertNot(is_process_alive(Pid))
    end.

cancel_split(_) ->
    {Socket, Channel} = py_client:async(),
    ok = register_hold(),
    calls(Socket, 1, <<"hold_at">>, [hold, 2, hold, hold]),
    Pids = [receive {held, Pid} -> Pid end || _ <- [1, 2, 3]],
    {3, 1, {2, 2}} = py_client:recv(Socket),
    Monitors = [py_client:watch(Pid) || Pid <- Pids],
    cancel(Socket, 1),
    [receive {'DOWN', M, _, _, killed} -> ok after 1000 -> error(lives) end || M <- Monitors],
    eventually(fun() -> counts(Channel) =:= {0, 0} end),
    calls(Socket, 1, <<"double_it">>, [1, 2]),
    ?assertEqual([2, 4], results(Socket, 1, 2)).

cancel_waiting(_) ->
    {Socket, _} = py_client:async(),
    ok = register_hold(),
    [call(Socket, Id, <<"hold_at">>, [hold]) || Id <- [1, 2]],
    Pids = [receive {held, Pid} -> Pid end || _ <- [1, 2]],
    calls(Socket, 3, <<"hold_at">>, [hold, hold]),
    cancel(Socket, 3),
    ok = synchronized(Socket),
    [Pid ! go || Pid <- Pids],
    [{3, 1, gone}, {3, 2, gone}] = lists:sort([py_client:recv(Socket), py_client:recv(Socket)]),
    call(Socket, 4, <<"double_it">>, [21]),
    {3, 4, 42} = py_client:recv(Socket),
    ?assertEqual([], messages()).

cancel_over(_) ->
    {Socket, _} = py_client:async(),
    calls(Socket, 1, <<"double_it">>, [1, 2]),
    ?assertEqual([2, 4], results(Socket, 1, 2)),
    cancel(Socket, 1),
    calls(Socket, 1, <<"double_it">>, [3, 4]),
    ?assertEqual([6, 8], results(Socket, 1, 2)).

%% Ends

malformed(_) -> ends(fun(Socket) -> py_client:send_frame(Socket, 8, 2, term_to_binary({<<"f">>, [1]})) end).

id_in_use(_) -> ends(fun(Socket) -> calls(Socket, 1, <<"double_it">>, [1, 2]) end).

id_in_use_after_split(_) ->
    ends(fun(Socket) ->
        calls(Socket, 2, <<"hold_at">>, [hold, hold]),
        [receive {held, _} -> ok end || _ <- [1, 2]],
        call(Socket, 2, <<"double_it">>, [1])
    end).

ends(Wrong) ->
    {Socket, Channel} = py_client:async(),
    ok = register_hold(),
    call(Socket, 1, <<"hold_at">>, [hold]),
    Pid = receive {held, P} -> P end,
    Monitors = [py_client:watch(Each) || Each <- [Pid, Channel]],
    Wrong(Socket),
    [killed, {shutdown, _}] = [receive {'DOWN', M, _, _, R} -> R after 1000 -> error(lives) end || M <- Monitors],
    ?assert(py_client:eof(Socket)).

channel_ends(_) ->
    {Socket, Channel} = py_client:async(),
    ok = register_hold(),
    calls(Socket, 1, <<"hold_at">>, [hold, hold]),
    Pids = [receive {held, Pid} -> Pid end || _ <- [1, 2]],
    Monitors = [py_client:watch(P) || P <- [Channel | Pids]],
    py_client:close(Socket),
    ?assertEqual([normal, killed, killed], [receive {'DOWN', M, _, _, R} -> R after 1000 -> error(lives) end || M <- Monitors]).

status(_) ->
    {Socket, Channel} = py_client:async(),
    ok = register_hold(),
    ok = sys:trace(Channel, true),
    calls(Socket, 1, <<"double_it">>, [1, 2, 3]),
    ?assertEqual([2, 4, 6], results(Socket, 1, 3)),
    calls(Socket, 2, <<"hold_at">>, [1, hold]),
    Pid = receive {held, P} -> P end,
    {3, 2, {1, 1}} = py_client:recv(Socket),
    ?assertEqual({1, 0}, counts(Channel)),
    ?assertEqual(4, proplists:get_value("Answered", data(Channel))),
    Pid ! go,
    {3, 2, {2, gone}} = py_client:recv(Socket),
    ok = sys:trace(Channel, false).

%% Tools

%% The channel has read all that was sent before.
synchronized(Socket) ->
    call(Socket, 999, registered, [<<"double_it">>]),
    {3, 999, true} = py_client:recv(Socket),
    ok.

call(Socket, Id, Target, Args) -> py_client:send_frame(Socket, 2, Id, term_to_binary({Target, Args})).

calls(Socket, Id, Name, Args) -> py_client:send_frame(Socket, 8, Id, payload(Name, Args)).

calls_raw(Socket, Id, Name, Items) -> py_client:send_frame(Socket, 8, Id, raw(Name, Items, [byte_size(Item) || Item <- Items])).

payload(Name, Args) -> sized(Name, Args, [byte_size(item(Arg)) || Arg <- Args]).

sized(Name, Args, Sizes) -> raw(Name, [item(Arg) || Arg <- Args], Sizes).

raw(Name, Items, Sizes) ->
    iolist_to_binary([
        <<131, 104, 3, 109, (byte_size(Name)):32, Name/binary, 109, (4 * length(Sizes)):32>>, [<<Size:32>> || Size <- Sizes],
        <<108, (length(Items)):32>>, Items, 106
    ]).

item(Arg) ->
    <<131, Item/binary>> = term_to_binary(Arg),
    Item.

cancel(Socket, Id) -> py_client:send_frame(Socket, 6, Id, <<>>).

%% The results of so many calls of that batch, in order, whichever way they come.
results(Socket, Id, Count) ->
    [Result || {_Index, Result} <- collect(Socket, Id, Count)].

%% The same with their positions; a failure stands for the result that there is none of.
collect(Socket, Id, Count) -> lists:sort(collect_unsorted(Socket, Id, Count)).

collect_unsorted(_Socket, _Id, 0) ->
    [];
collect_unsorted(Socket, Id, Left) ->
    {Kind, Id, Answer} = py_client:recv(Socket),
    ?assert(Kind =:= 3 orelse tuple_size(Answer) =:= 2),
    [First | Results] = tuple_to_list(Answer),
    lists:zip(lists:seq(First, First + length(Results) - 1), Results) ++ collect_unsorted(Socket, Id, Left - length(Results)).

%% A function that is itself, but for hold: then it tells this process, and waits.
register_hold() ->
    true = register(?MODULE, self()),
    py:register_function(hold_at, fun([hold]) -> ?MODULE ! {held, self()}, receive go -> gone end; ([X]) -> X end).

messages() ->
    {messages, Messages} = process_info(self(), messages),
    Messages.

counts(Channel) ->
    Data = data(Channel),
    {proplists:get_value("Running", Data), proplists:get_value("Waiting", Data)}.

data(Channel) ->
    {status, Channel, {module, py_async}, [_, _, _, _, Status]} = sys:get_status(Channel),
    {data, Data} = lists:keyfind(data, 1, Status),
    Data.

eventually(Holds) ->
    case Holds() of
        true -> ok;
        false -> erlang:yield(), eventually(Holds)
    end.
