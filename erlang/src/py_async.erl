%% @doc The process of an async channel (PROTOCOL.md, section 4.1): many calls under way at once, each in a process of its own.
%%
%% A special process, as {@link py_handler}; it runs no function itself. It never blocks on its socket either way, so a side that does
%% not read its answers can still cancel what it has asked for; meanwhile no further call is started.
%%
%% It traps exits and is linked to the processes: that is how it hears of one that has ended without an answer, and how they end with
%% it even if it is killed.
-module(py_async).

-export([run/2]).
-export([system_continue/3, system_terminate/4, system_get_state/1, system_replace_state/2, system_code_change/4,
         format_status/2]).

-include_lib("kernel/include/logger.hrl").

-record(state, {
    parent :: pid(),
    debug :: [sys:dbg_opt()],
    channel :: py_channel:channel(),
    max_frame :: pos_integer(),
    policy :: py_term:policy(),
    backlog :: py_backlog:backlog(),
    batches :: py_batches:batches(),
    answered = 0 :: non_neg_integer(),
    %% The message of the socket that says when to read on.
    reading = none :: none | reference(),
    %% Frames to be sent, and their size; what the socket would not take yet, and the message that says when it will.
    out = [] :: iolist(),
    size = 0 :: non_neg_integer(),
    writing = none :: none | {reference(), iodata()}
}).

%% So many frames or messages are dealt with before the others get their turn, and what has to be sent is sent.
-define(TURN, 64).
%% So many bytes are worth a system call of their own.
-define(BATCH, 16#10000).

%% @doc Serves a channel that is through with the handshake. The process becomes its own.
-spec run(pid(), py_channel:channel()) -> no_return().
run(Parent, Channel) ->
    process_flag(trap_exit, true),
    MaxFrame = py_settings:get(max_frame),
    loop(#state{
        parent = Parent,
        debug = sys:debug_options([]),
        channel = py_channel:unpolled(Channel),
        max_frame = MaxFrame,
        policy = case py_settings:get(create_atoms) of true -> create; false -> safe end,
        backlog = py_backlog:new(py_settings:get(max_async)),
        batches = py_batches:new(MaxFrame)
    }).

%% Waits without end for the socket's message, which comes at the latest when the program at its other end dies.
-spec loop(#state{}) -> no_return().
loop(#state{reading = none} = State) ->
    messages(0, ?TURN, frames(?TURN, State));
loop(State) ->
    messages(infinity, ?TURN, State).

-spec messages(0 | infinity, non_neg_integer(), #state{}) -> no_return().
messages(_Timeout, 0, State) ->
    loop(flush(State));
messages(Timeout, Left, State) ->
    receive
        {system, From, Request} ->
            sys:handle_system_msg(Request, From, State#state.parent, ?MODULE, State#state.debug, State);
        Message ->
            messages(0, Left - 1, message(Message, State))
    after Timeout ->
        loop(flush(State))
    end.

-spec message(term(), #state{}) -> #state{}.
message({?MODULE, over, Worker, Outcome}, State) ->
    over(Worker, Outcome, State);
message({timeout, Timer, {py_batches, Id}}, #state{batches = Batches} = State) ->
    {More, Batches1} = py_batches:late(Id, Timer, Batches),
    start(more(Id, More, State#state{batches = Batches1}));
message({'$socket', _, select, Handle}, #state{reading = Handle} = State) ->
    State#state{reading = none};
message({'$socket', _, select, Handle}, #state{writing = {Handle, Rest}} = State) ->
    start(write(Rest, State));
message({'$socket', _, abort, {_Handle, Reason}}, State) ->
    stop(Reason, State);
message({'EXIT', Parent, Reason}, #state{parent = Parent} = State) ->
    stop({shutdown, Reason}, State);
message({'EXIT', Worker, Reason}, State) ->
    %% After its answer this changes nothing.
    over(Worker, {exit, Reason}, State);
message(Stray, State) ->
    ?LOG_WARNING(#{what => py_stray_message, handler => self(), message => Stray}),
    State.

%% What Python sends

-spec frames(non_neg_integer(), #state{}) -> #state{}.
frames(0, State) ->
    State;
frames(Left, #state{channel = Channel} = State) ->
    case py_channel:next(Channel) of
        {frame, Frame, Channel1} -> frames(Left - 1, frame(Frame, debug({in, Frame}, State#state{channel = Channel1})));
        {wait, Handle, Channel1} -> State#state{channel = Channel1, reading = Handle};
        {error, Reason} -> stop(Reason, State)
    end.

-spec frame(py_frame:frame(), #state{}) -> #state{}.
frame({call, Id, Payload}, State) ->
    start(add(Id, Payload, unused(Id, State)));
frame({cast, _Id, Payload}, State) ->
    start(add(make_ref(), Payload, State));
frame({calls, Id, Payload}, State) ->
    case py_batch:new(Id, Payload) of
        {ok, Batch} -> start(add_batch(Batch, unused(Id, State)));
        error -> stop({bad_calls, Id}, State)
    end;
frame({cancel, Id, _}, #state{batches = Batches} = State) ->
    {Keys, Batches1} = py_batches:cancel(Id, Batches),
    lists:foldl(fun cancel/2, State#state{batches = Batches1}, Keys);
frame({bye, _, _}, State) ->
    stop(closed, State);
frame({Kind, Id, _}, State) ->
    stop({unexpected_frame, Kind, Id}, State).

-spec unused(py_frame:id(), #state{}) -> #state{}.
unused(Id, #state{batches = Batches} = State) ->
    case py_batches:is_key(Id, Batches) of
        true -> stop({id_in_use, Id}, State);
        false -> State
    end.

-spec add(py_backlog:key(), py_backlog:work(), #state{}) -> #state{}.
add(Key, Work, #state{backlog = Backlog} = State) ->
    case py_backlog:add(Key, Work, Backlog) of
        {ok, Backlog1} -> State#state{backlog = Backlog1};
        error -> stop({id_in_use, Key}, State)
    end.

-spec add_batch(py_batch:batch(), #state{}) -> #state{}.
add_batch(Batch, #state{batches = Batches} = State) ->
    {Works, Batches1} = py_batches:add(Batch, Batches),
    lists:foldl(fun({Key, Work}, S) -> add(Key, Work, S) end, State#state{batches = Batches1}, Works).

-spec cancel(py_backlog:key(), #state{}) -> #state{}.
cancel(Key, #state{backlog = Backlog} = State) ->
    case py_backlog:cancel(Key, Backlog) of
        {kill, Worker, Backlog1} ->
            exit(Worker, kill),
            State#state{backlog = Backlog1};
        {ok, Backlog1} ->
            State#state{backlog = Backlog1}
    end.

%% Starts what may run. While Python does not take its answers, nothing.
-spec start(#state{}) -> #state{}.
start(#state{writing = none, backlog = Backlog} = State) ->
    case py_backlog:next(Backlog) of
        {start, Key, Work, Backlog1} ->
            {Job, Options, State1} = job(Key, Work, State),
            start(State1#state{backlog = py_backlog:started(Key, spawn_opt(Job, [link | py_function:limits() ++ Options]), Backlog1)});
        {none, Backlog1} ->
            State#state{backlog = Backlog1}
    end;
start(State) ->
    State.

-spec job(py_backlog:key(), py_backlog:work(), #state{}) -> {fun(() -> ok), [{min_heap_size, pos_integer()}], #state{}}.
job(Key, Payload, #state{policy = Policy} = State) when is_reference(Key) ->
    {fun() -> cast(Payload, Policy) end, [], State};
job(Key, Payload, #state{policy = Policy, max_frame = MaxFrame} = State) when is_binary(Payload) ->
    Batched = is_tuple(Key),
    Channel = self(),
    {fun() -> call(Channel, Payload, Policy, MaxFrame, Batched) end, [], State};
job(Id, _Batch, #state{policy = Policy, max_frame = MaxFrame, batches = Batches} = State) ->
    {Batch, Batches1} = py_batches:start(Id, Batches),
    Channel = self(),
    {fun() -> batch(Channel, Batch, Policy, MaxFrame) end, [{min_heap_size, py_batch:heap(Batch)}], State#state{batches = Batches1}}.

%% In a process of its own

-spec call(pid(), binary(), py_term:policy(), pos_integer(), boolean()) -> ok.
call(Channel, Payload, Policy, MaxFrame, Batched) ->
    Result = perform(Payload, Policy),
    Answer =
        case Batched of
            true -> py_function:answer(Result, MaxFrame, py_batch:room());
            false -> py_function:answer(Result, MaxFrame)
        end,
    Channel ! {?MODULE, over, self(), Answer},
    ok.

-spec batch(pid(), py_batch:batch(), py_term:policy(), pos_integer()) -> ok.
batch(Channel, Batch, Policy, MaxFrame) ->
    case py_batch:work(Channel, Batch, Policy, MaxFrame) of
        {answered, Frames} ->
            Channel ! {?MODULE, over, self(), {frames, erlang:iolist_to_iovec(Frames)}},
            ok;
        left ->
            ok
    end.

-spec cast(binary(), py_term:policy()) -> ok.
cast(Payload, Policy) ->
    case perform(Payload, Policy) of
        {ok, _} -> ok;
        {error, Failure} -> ?LOG_WARNING(#{what => py_cast_failed, failure => Failure})
    end.

-spec perform(binary(), py_term:policy()) -> py_function:result().
perform(Payload, Policy) ->
    case py_function:decode(Payload, Policy) of
        {ok, {Target, Args}} -> py_function:run(Target, Args);
        {error, Failure} -> {error, Failure}
    end.

%% What Python gets

-type outcome() :: {ok | error, py_term:payload()} | {frames, erlang:iovec()} | {exit, term()}.

-spec over(pid(), outcome(), #state{}) -> #state{}.
over(Worker, Outcome, #state{backlog = Backlog} = State) ->
    case py_backlog:over(Worker, Backlog) of
        {ok, Key, Backlog1} -> start(answer(Key, Outcome, State#state{backlog = Backlog1}));
        {ignore, none, Backlog1} -> start(State#state{backlog = Backlog1})
    end.

-spec answer(py_backlog:key(), outcome(), #state{}) -> #state{}.
answer(Key, _Outcome, State) when is_reference(Key) ->
    State;
answer({Id, Index}, Outcome, #state{batches = Batches} = State) ->
    {Frames, Batches1} = py_batches:single(Id, Index, Outcome, Batches),
    out(Frames, debug({out, {Id, Frames}}, State#state{batches = Batches1}));
answer(Id, {frames, Frames}, #state{batches = Batches} = State) ->
    out(Frames, debug({out, {Id, Frames}}, State#state{batches = py_batches:answered(Id, Batches)}));
answer(Id, {exit, Reason}, #state{batches = Batches, max_frame = MaxFrame} = State) ->
    case py_batches:is_key(Id, Batches) of
        true ->
            {More, Batches1} = py_batches:ended(Id, Reason, Batches),
            more(Id, More, State#state{batches = Batches1});
        false ->
            answer(Id, py_function:answer({error, py_failure:raised(exit, Reason, [])}, MaxFrame), State)
    end;
answer(Id, {Kind, Payload}, #state{answered = Answered} = State) ->
    State1 = debug({out, {Kind, Id, Payload}}, State#state{answered = Answered + 1}),
    out([py_frame:header(Kind, Id, iolist_size(Payload)) | Payload], State1).

-spec more(py_frame:id(), py_batches:more(), #state{}) -> #state{}.
more(Id, {Frames, Calls}, #state{backlog = Backlog} = State) ->
    out(Frames, debug({out, {Id, Frames}}, State#state{backlog = py_backlog:add_first(Calls, Backlog)})).

-spec out(iodata(), #state{}) -> #state{}.
out([], State) ->
    State;
out(Frames, #state{out = Out, size = Size} = State) ->
    State1 = State#state{out = [Out | Frames], size = Size + iolist_size(Frames)},
    case State1#state.size >= ?BATCH of
        true -> flush(State1);
        false -> State1
    end.

-spec flush(#state{}) -> #state{}.
flush(#state{out = Out, writing = none} = State) when Out =/= [] ->
    write(Out, State#state{out = [], size = 0});
flush(State) ->
    State.

-spec write(iodata(), #state{}) -> #state{}.
write(Data, #state{channel = Channel} = State) ->
    case py_channel:write(Channel, Data) of
        ok -> State#state{writing = none};
        {wait, Handle, Rest} -> State#state{writing = {Handle, Rest}};
        {error, Reason} -> stop(Reason, State)
    end.

%% The end

-spec stop(term(), #state{}) -> no_return().
stop({shutdown, _} = Reason, State) ->
    finish(Reason, State);
stop(Reason, State) when Reason =:= closed; Reason =:= econnreset; Reason =:= epipe ->
    %% A program that ends may leave answers unread, or go before they are written.
    finish(normal, State);
stop(Reason, State) when is_atom(Reason) ->
    ?LOG_NOTICE(#{what => py_connection_lost, handler => self(), reason => Reason}),
    finish({shutdown, Reason}, State);
stop(Reason, State) ->
    ?LOG_WARNING(#{what => py_protocol_error, handler => self(), reason => Reason}),
    finish({shutdown, Reason}, State).

-spec finish(term(), #state{}) -> no_return().
finish(Reason, #state{channel = Channel, backlog = Backlog}) ->
    lists:foreach(fun(Worker) -> exit(Worker, kill) end, py_backlog:workers(Backlog)),
    py_channel:close(Channel),
    exit(Reason).

-spec debug(term(), #state{}) -> #state{}.
debug(_Event, #state{debug = []} = State) ->
    State;
debug(Event, #state{debug = Debug} = State) ->
    State#state{debug = sys:handle_debug(Debug, fun write_event/3, self(), Event)}.

-spec write_event(io:device(), term(), term()) -> ok.
write_event(Device, {out, {Id, Frames}}, Name) ->
    io:format(Device, "*DBG* ~p out answers of batch ~b, ~b bytes~n", [Name, Id, iolist_size(Frames)]);
write_event(Device, {Direction, {Kind, Id, Payload}}, Name) ->
    io:format(Device, "*DBG* ~p ~ts ~ts ~b, ~b bytes~n", [Name, Direction, Kind, Id, iolist_size(Payload)]).

%% System messages

%% @private
-spec system_continue(pid(), [sys:dbg_opt()], #state{}) -> no_return().
system_continue(_Parent, Debug, State) ->
    messages(0, ?TURN, State#state{debug = Debug}).

%% @private
-spec system_terminate(term(), pid(), [sys:dbg_opt()], #state{}) -> no_return().
system_terminate(Reason, _Parent, _Debug, State) ->
    finish(Reason, State).

%% @private
-spec system_get_state(#state{}) -> {ok, #state{}}.
system_get_state(State) ->
    {ok, State}.

%% @private
-spec system_replace_state(fun((#state{}) -> #state{}), #state{}) -> {ok, #state{}, #state{}}.
system_replace_state(Replace, State) ->
    State1 = Replace(State),
    {ok, State1, State1}.

%% @private
-spec system_code_change(#state{}, module(), term(), term()) -> {ok, #state{}}.
system_code_change(State, _Module, _OldVersion, _Extra) ->
    {ok, State}.

%% @private
-spec format_status(normal | terminate, [term()]) -> [term()].
format_status(_When, [_Dictionary, SysState, Parent, _Debug, State]) ->
    {Running, Waiting} = py_backlog:counts(State#state.backlog),
    [
        {header, "Status for an async channel of erlang_python"},
        {data, [
            {"Status", SysState},
            {"Parent", Parent},
            {"Answered", State#state.answered + py_batches:answers(State#state.batches)},
            {"Running", Running},
            {"Waiting", Waiting},
            {"Blocked", State#state.writing =/= none}
        ]}
    ].
