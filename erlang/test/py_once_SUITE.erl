%% Each call of a batch runs once and is answered once (PROTOCOL.md, section 4.1), whatever the
%% functions do to their process and whenever the batch is split. No Python.
-module(py_once_SUITE).

-include_lib("stdlib/include/assert.hrl").

-compile([export_all, nowarn_export_all]).

suite() -> [{timetrap, {seconds, 120}}].

all() -> [every_schedule, every_action, random_batches, cancelled_batches, other_channels].

init_per_testcase(every_schedule, Config) ->
    Config;
init_per_testcase(_Case, Config) ->
    ok = py_client:start_app([]),
    ?MODULE = ets:new(?MODULE, [named_table, public, {write_concurrency, true}]),
    ok = py:register_function(act, fun([[Batch, Index, Action]]) ->
        _ = ets:update_counter(?MODULE, {Batch, Index}, 1, {{Batch, Index}, 0}),
        act(Action, Batch, Index)
    end),
    ok = py:register_function(bystander, fun([To]) -> To ! {bystander, self()}, receive go -> unharmed end end),
    logger:set_primary_config(level, error),
    Config.

end_per_testcase(_Case, _Config) ->
    logger:set_primary_config(level, notice),
    py_client:stop_app().

%% Every order of the events of one batch of three calls: the steps of its process, the channel's
%% reading of each message, the timer, the calls given out, and one kill from outside. A schedule is
%% a list of choices; each prefix is run from the start, since the counter cannot be copied.

every_schedule(_) ->
    Actions = [stay, leave, die],
    Batches = [[A, B, C] || A <- Actions, B <- Actions, C <- Actions] ++ [undecodable],
    ct:log("~b schedules", [lists:sum([explore(Batch, Kill, []) || Batch <- Batches, Kill <- [false, true]])]).

explore(Batch, Kill, Choices) ->
    case options(replay(Choices, model(Batch, Kill))) of
        [] ->
            check(Batch, Choices, replay(Choices, model(Batch, Kill))),
            1;
        Options ->
            lists:sum([explore(Batch, Kill, Choices ++ [Option]) || Option <- Options])
    end.

model(Actions, Kill) ->
    Items = [<<97, N>> || N <- [1, 2, 3]],
    {ok, Batch} = py_batch:new(7, py_client:calls_payload(<<"f">>, Items)),
    {together, Added} = py_batches:add(Batch, py_batches:new(16#10000)),
    {Claims, Batches} = py_batches:start(7, Added),
    #{
        actions => Actions, kill => Kill, claims => Claims, batches => Batches,
        worker => {at, 1}, registered => true, inbox => [], kept => [], timer => armed, singles => [],
        runs => [], answers => []
    }.

replay(Choices, Model) -> lists:foldl(fun step/2, Model, Choices).

options(#{worker := Worker, inbox := Inbox, timer := Timer, singles := Singles, kill := Kill}) ->
    [work || Worker =/= ended] ++ [kill || Kill, Worker =/= ended] ++ [read || Inbox =/= []] ++
    [timer || Timer =:= armed] ++ [single || Singles =/= []].

%% The process.
step(work, #{worker := {at, _}, actions := undecodable} = M) ->
    finish(normal, M);
step(work, #{worker := {at, Index}, claims := Claims, runs := Runs} = M) ->
    case py_batches:claim(Index, Claims) of
        true -> M#{worker := {in, Index}, runs := [Index | Runs]};
        false -> finish(normal, M)
    end;
step(work, #{worker := {in, Index}, actions := Actions} = M) ->
    case {lists:nth(Index, Actions), Index} of
        {die, _} -> finish(killed, M);
        {stay, Index} when Index < 3 -> (tell(Index, M))#{worker := {at, Index + 1}};
        {_, _} -> finish(normal, tell(Index, M))
    end;
step(kill, M) ->
    finish(killed, M#{kill := false});
%% The channel.
step(read, #{inbox := [Message | Inbox]} = M) ->
    read(Message, M#{inbox := Inbox});
step(timer, #{kept := sent} = M) ->
    M#{timer := fired};
step(timer, #{kept := Kept, batches := Batches} = M) ->
    {Frames, Calls, Progress, Batches1} = py_batches:split(7, Kept, Batches),
    sent(Frames, Calls, M#{timer := fired, kept := sent, batches := Batches1, registered := Progress =:= running});
step(single, #{singles := [Index | Singles], runs := Runs, actions := Actions, batches := Batches} = M) ->
    Outcome =
        case Actions of
            [_, _, _] -> case lists:nth(Index, Actions) of die -> {exit, killed}; _ -> result(Index) end;
            undecodable -> result(Index)
        end,
    {Frames, Batches1} = py_batches:single(7, Index, Outcome, Batches),
    sent(Frames, [], M#{singles := Singles, runs := [Index | Runs], batches := Batches1}).

tell(Index, #{inbox := Inbox} = M) ->
    {Kind, Payload} = result(Index),
    M#{inbox := Inbox ++ [{answer, {Index, Kind, Payload}}]}.

result(Index) -> {ok, term_to_binary(Index)}.

finish(Reason, #{inbox := Inbox} = M) -> M#{worker := ended, inbox := Inbox ++ [{ended, Reason}]}.

read({answer, Answer}, #{kept := sent, batches := Batches} = M) ->
    {Frames, Progress, Batches1} = py_batches:answer(7, Answer, Batches),
    sent(Frames, [], M#{batches := Batches1, registered := Progress =:= running});
read({answer, Answer}, #{kept := Kept} = M) ->
    M#{kept := [Answer | Kept]};
read({ended, _}, #{registered := false} = M) ->
    M;
read({ended, Reason}, #{kept := Kept, batches := Batches} = M) ->
    Answers = case Kept of sent -> []; _ -> Kept end,
    {Frames, Calls, Batches1} = py_batches:ended(7, Answers, Reason, Batches),
    sent(Frames, Calls, M#{kept := sent, batches := Batches1, registered := false}).

sent(Frames, Calls, #{answers := Answers, singles := Singles} = M) ->
    M#{answers := Answers ++ answers(iolist_to_binary(Frames)), singles := Singles ++ [Index || {{7, Index}, _} <- Calls]}.

answers(<<Length:32, Kind, 7:32, Rest/binary>>) ->
    Size = Length - 5,
    <<Payload:Size/binary, More/binary>> = Rest,
    [First | Results] = tuple_to_list(binary_to_term(Payload)),
    [{Index, Kind} || Index <- lists:seq(First, First + length(Results) - 1)] ++ answers(More);
answers(<<>>) ->
    [].

check(Batch, Choices, #{runs := Runs, answers := Answers, batches := Batches}) ->
    Of = {Batch, Choices},
    ?assertEqual({Of, [1, 2, 3]}, {Of, lists:sort(Runs)}),
    ?assertEqual({Of, [1, 2, 3]}, {Of, lists:sort([Index || {Index, _} <- Answers])}),
    ?assertEqual({Of, 3, false}, {Of, py_batches:count(Batches), py_batches:is_key(7, Batches)}),
    Killed = lists:member(kill, Choices),
    [?assertEqual({Of, Index, kind(Index, Batch)}, {Of, Index, Kind}) || not Killed, {Index, Kind} <- Answers].

kind(_Index, undecodable) -> 3;
kind(Index, Batch) -> case lists:nth(Index, Batch) of die -> 4; _ -> 3 end.

%% The same with real processes

actions() ->
    [plain, link, child, monitor, message, late_message, name, trap, dictionary, throw, exit_normal, die, end_normal,
     unlink, unlink_and_die, slow, wait_for_next, undecodable].

act(plain, _, Index) -> Index;
act(link, _, Index) -> _ = spawn_link(fun() -> receive stop -> ok end end), Index;
act(child, _, Index) -> _ = spawn_link(fun() -> ok end), Index;
act(monitor, _, Index) -> _ = monitor(process, whereis(py_sup)), Index;
act(message, _, Index) -> self() ! {'EXIT', self(), boom}, Index;
act(late_message, _, Index) -> _ = erlang:send_after(1, self(), late), Index;
act(name, _, Index) -> _ = try register(py_once_name, self()) catch error:badarg -> taken end, Index;
act(trap, _, Index) -> process_flag(trap_exit, true), Index;
act(dictionary, _, Index) -> put(left, behind), Index;
act(throw, _, _) -> throw(ball);
act(exit_normal, _, _) -> exit(normal);
act(die, _, _) -> exit(self(), kill), receive never -> ok end;
act(end_normal, _, _) -> exit(self(), normal), receive never -> ok end;
act(unlink, _, Index) -> unlink_all(), Index;
act(unlink_and_die, _, _) -> unlink_all(), exit(self(), kill), receive never -> ok end;
act(slow, _, Index) -> timer:sleep(3), Index;
act(wait_for_next, Batch, Index) -> wait_for(Batch, Index + 1), Index;
act(Atom, _, Index) when is_atom(Atom) -> Index.

unlink_all() ->
    {links, Links} = process_info(self(), links),
    [unlink(Pid) || Pid <- Links].

wait_for(Batch, Index) ->
    case ets:member(?MODULE, {Batch, Index}) orelse not ets:member(?MODULE, {Batch, has, Index}) of
        true -> ok;
        false -> erlang:yield(), wait_for(Batch, Index)
    end.

wanted(Action, _) when Action =:= die; Action =:= unlink_and_die -> {raised, exit, killed};
wanted(end_normal, _) -> {raised, exit, normal};
wanted(exit_normal, _) -> {raised, exit, normal};
wanted(throw, _) -> {raised, throw, ball};
wanted(undecodable, _) -> bad_term;
wanted(_, Index) -> Index.

%% Each at each place, with the channel awake, and with the timer due before the channel reads a
%% word.
every_action(_) ->
    with_bystander(fun(Socket, Channel) ->
        [once(Socket, Channel, [case At of K -> Action; _ -> plain end || At <- [1, 2, 3]], Mode)
         || Action <- actions(), K <- [1, 2, 3], Mode <- [awake, suspended]]
    end).

random_batches(_) ->
    Seed = rand:seed(exsss),
    ct:log("seed ~p", [rand:export_seed_s(Seed)]),
    with_bystander(fun(Socket, Channel) ->
        [once(Socket, Channel, random_actions(), one_of([awake, suspended])) || _ <- lists:seq(1, 300)]
    end).

random_actions() -> [one_of(actions()) || _ <- lists:seq(1, rand:uniform(8))].

one_of(List) -> lists:nth(rand:uniform(length(List)), List).

%% A batch that is taken back at any time: no call runs twice, and the channel serves on.
cancelled_batches(_) ->
    with_bystander(fun(Socket, Channel) ->
        [begin
            Batch = send(Socket, random_actions()),
            [erlang:yield() || _ <- lists:seq(1, rand:uniform(200))],
            py_client:send_frame(Socket, 6, 1, <<>>),
            eventually(fun() -> running(Channel) =:= {1, 0} end),
            Runs = [N || {{B, _}, N} <- ets:tab2list(?MODULE), B =:= Batch],
            ?assertEqual([], [N || N <- Runs, N =/= 1]),
            drain(Socket)
         end || _ <- lists:seq(1, 200)]
    end).

%% Several channels at once, on which batches end in every way.
other_channels(_) ->
    Runs = [spawn_monitor(fun() -> with_bystander(fun(Socket, Channel) ->
        [once(Socket, Channel, random_actions(), awake) || _ <- lists:seq(1, 50)] end) end) || _ <- lists:seq(1, 4)],
    [receive {'DOWN', Monitor, process, Pid, Reason} -> ?assertEqual(normal, Reason) end || {Pid, Monitor} <- Runs].

with_bystander(Run) ->
    {Socket, Channel} = py_client:async(),
    py_client:send_frame(Socket, 2, 1000000, term_to_binary({<<"bystander">>, [self()]})),
    Bystander = receive {bystander, Pid} -> Pid end,
    _ = Run(Socket, Channel),
    eventually(fun() -> running(Channel) =:= {1, 0} end),
    Bystander ! go,
    ?assertEqual({3, 1000000, unharmed}, py_client:recv(Socket)),
    py_client:close(Socket).

once(Socket, Channel, Actions, Mode) ->
    _ = Mode =:= suspended andalso sys:suspend(Channel),
    Batch = send(Socket, Actions),
    _ = Mode =:= suspended andalso resumed(Channel, Batch),
    Indexes = lists:seq(1, length(Actions)),
    Wanted = [{Index, wanted(Action, Index)} || {Index, Action} <- lists:zip(Indexes, Actions)],
    ?assertEqual({Actions, Wanted}, {Actions, lists:sort(collect(Socket, length(Actions)))}),
    Runs = [{Index, case ets:lookup(?MODULE, {Batch, Index}) of [{_, N}] -> N; [] -> 0 end} || Index <- Indexes],
    Once = [{Index, case Action of undecodable -> 0; _ -> 1 end} || {Index, Action} <- lists:zip(Indexes, Actions)],
    ?assertEqual({Actions, Once}, {Actions, Runs}).

%% The channel reads the frame and is suspended again, so that the timer's message comes among
%% whatever the process says meanwhile.
resumed(Channel, _Batch) ->
    ok = sys:resume(Channel),
    ok = sys:suspend(Channel),
    receive after 3 -> ok end,
    ok = sys:resume(Channel).

send(Socket, Actions) ->
    Batch = erlang:unique_integer([positive]),
    Count = length(Actions),
    ets:insert(?MODULE, [{{Batch, has, Index}} || Index <- lists:seq(1, Count)]),
    Items = [item(Batch, Index, Action, Actions) || {Index, Action} <- lists:zip(lists:seq(1, Count), Actions)],
    py_client:send_frame(Socket, 8, 1, py_client:calls_payload(<<"act">>, Items)),
    Batch.

%% Who waits for a call that cannot be decoded would wait for ever.
item(_Batch, _Index, undecodable, _) -> <<119, 12, "never_before">>;
item(Batch, Index, wait_for_next, Actions) ->
    Next = case lists:nthtail(Index, Actions) of [undecodable | _] -> plain; _ -> wait_for_next end,
    encoded([Batch, Index, Next]);
item(Batch, Index, Action, _) -> encoded([Batch, Index, Action]).

encoded(Term) ->
    <<131, Item/binary>> = term_to_binary(Term),
    Item.

collect(_Socket, 0) ->
    [];
collect(Socket, Left) ->
    case py_client:recv(Socket) of
        {3, 1, Answer} ->
            [First | Results] = tuple_to_list(Answer),
            lists:zip(lists:seq(First, First + length(Results) - 1), Results) ++ collect(Socket, Left - length(Results));
        {4, 1, {Index, {raised, Class, Reason, _, _}}} ->
            [{Index, {raised, Class, Reason}} | collect(Socket, Left - 1)];
        {4, 1, {Index, {bad_term, _}}} ->
            [{Index, bad_term} | collect(Socket, Left - 1)]
    end.

%% What was answered before the cancel came.
drain(Socket) ->
    py_client:send_frame(Socket, 2, 2000000, term_to_binary({whereis, [py_sup]})),
    drained(Socket).

drained(Socket) ->
    case py_client:recv(Socket) of
        {3, 2000000, _} -> ok;
        {_, 1, _} -> drained(Socket)
    end.

running(Channel) ->
    {status, Channel, {module, py_async}, [_, _, _, _, Status]} = sys:get_status(Channel),
    {data, Data} = lists:keyfind(data, 1, Status),
    {proplists:get_value("Running", Data), proplists:get_value("Waiting", Data)}.

eventually(Holds) ->
    case Holds() of
        true -> ok;
        false -> erlang:yield(), eventually(Holds)
    end.
