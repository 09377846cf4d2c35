%% @doc The process of an async channel (PROTOCOL.md, section 4.1): many calls under way at once, in
%% processes of their own ({@link py_submitted}).
%%
%% A special process, as {@link py_handler}; it runs no function itself. It never blocks on its
%% socket either way: a program with unread answers can still cancel its calls. Meanwhile no further
%% function is started.
-module(py_async).

-export([run/2]).
-export([system_continue/3, system_terminate/4, system_get_state/1, system_replace_state/2, system_code_change/4,
         format_status/2]).

-include_lib("kernel/include/logger.hrl").

-record(state, {
    parent :: pid(),
    debug :: [sys:dbg_opt()],
    channel :: py_channel:channel(),
    context :: py_submitted:context(),
    backlog :: py_backlog:backlog(),
    batches :: py_batches:batches(),
    %% The answers of the processes with unsplit batches, the youngest first, to be sent together.
    %% They stand apart from `batches' because this map changes with every call.
    kept = #{} :: #{pid() => [py_batch:answer()]},
    max_queued :: pos_integer(),
    answered = 0 :: non_neg_integer(),
    %% The awaited message to read on: the socket's, or a timer's while too much is queued.
    reading = none :: none | reference() | {paused, reference()},
    %% Frames to be sent, and their size.
    out = [] :: iolist(),
    size = 0 :: non_neg_integer(),
    %% The awaited message to write on, the rest to be written, and its size.
    writing = none :: none | {reference(), iodata(), non_neg_integer()}
}).

%% The frames, or messages, until the others have their turn and answers are written.
-define(TURN, 64).
%% The bytes worth a system call of their own.
-define(BATCH, 16#10000).
%% The milliseconds until a batch is split.
-define(SOON, 1).
%% The bytes read at a time while too much is queued, and the milliseconds in between. Reading on
%% finds cancel frames, and the end of the program.
-define(TRICKLE, 16#10000).
-define(PAUSE, 100).
%% The bytes of other frames a payload may keep in memory.
-define(SPARE, 16#4000).

%% @doc Serves a channel that is through with the handshake. The process becomes its own.
-spec run(pid(), py_channel:channel()) -> no_return().
run(Parent, Channel) ->
    %% A function may link itself to the channel; its end is not the channel's.
    process_flag(trap_exit, true),
    _ = py_submitted:guard(self()),
    MaxFrame = py_settings:get(max_frame),
    Policy = case py_settings:get(create_atoms) of true -> create; false -> safe end,
    loop(#state{
        parent = Parent,
        debug = sys:debug_options([]),
        channel = py_channel:unpolled(Channel),
        context = #{channel => self(), tag => make_ref(), policy => Policy, max_frame => MaxFrame},
        backlog = py_backlog:new(py_settings:get(max_async)),
        batches = py_batches:new(MaxFrame),
        max_queued = py_settings:get(max_queued_bytes)
    }).

%% Waits for the socket or for the end of the pause. Cannot hang: the program's death closes the
%% socket.
-spec loop(#state{}) -> no_return().
loop(#state{reading = none} = State) ->
    messages(0, ?TURN, frames(?TURN, State));
loop(#state{reading = {paused, Timer}} = State) ->
    case too_much(State) of
        true ->
            messages(infinity, ?TURN, State);
        false ->
            _ = erlang:cancel_timer(Timer, [{async, true}, {info, false}]),
            loop(State#state{reading = none})
    end;
loop(State) ->
    messages(infinity, ?TURN, State).

-spec messages(0 | infinity, non_neg_integer(), #state{}) -> no_return().
messages(_Timeout, 0, State) ->
    loop(flush(State));
messages(Timeout, Left, #state{context = #{tag := Tag}, kept = Kept} = State) ->
    receive
        {Tag, Worker, Answer} when is_map_key(Worker, Kept) ->
            %% Not counted: the calls of the running batches bound them.
            #{Worker := Answers} = Kept,
            messages(0, Left, State#state{kept = Kept#{Worker := [Answer | Answers]}});
        {system, {Pid, _} = From, Request} when is_pid(Pid) ->
            sys:handle_system_msg(Request, From, State#state.parent, ?MODULE, State#state.debug, State);
        Message ->
            messages(0, Left - 1, message(Message, State))
    after Timeout ->
        loop(flush(State))
    end.

%% A registered function can find this process and send it anything. Messages of the channel's own
%% processes bear a tag unknown to functions; all others are logged.
-spec message(term(), #state{}) -> #state{}.
message({Tag, Worker, Answer}, #state{context = #{tag := Tag}, backlog = Backlog} = State) ->
    case py_backlog:key(Worker, Backlog) of
        {ok, Key} -> answer(Key, Answer, State);
        error -> State
    end;
message({Tag, _Monitor, process, Worker, Reason}, #state{context = #{tag := Tag}, backlog = Backlog} = State) ->
    {Answers, State1} = take_kept(Worker, State),
    case py_backlog:ended(Worker, Backlog) of
        {ok, Key, Backlog1} -> start(ended(Key, Answers, Reason, State1#state{backlog = Backlog1}));
        {none, Backlog1} -> start(State1#state{backlog = Backlog1})
    end;
message({Tag, {split, Worker}}, #state{context = #{tag := Tag}, kept = Kept} = State) ->
    case Kept of
        #{Worker := _} -> split(Worker, State);
        #{} -> State
    end;
message({timeout, Timer, read_on}, #state{reading = {paused, Timer}} = State) ->
    trickle(?TRICKLE, State#state{reading = none});
message({timeout, _Old, read_on}, State) ->
    State;
message({'$socket', _, select, Handle}, #state{reading = Handle} = State) ->
    State#state{reading = none};
message({'$socket', _, select, Handle}, #state{writing = {Handle, Rest, _}} = State) ->
    start(write(Rest, State));
message({'$socket', _, abort, {Handle, Reason}}, #state{reading = Handle} = State) ->
    stop(Reason, State);
message({'$socket', _, abort, {Handle, Reason}}, #state{writing = {Handle, _, _}} = State) ->
    stop(Reason, State);
message({'EXIT', Parent, Reason}, #state{parent = Parent} = State) ->
    stop({shutdown, Reason}, State);
message({'EXIT', _Linked, _Reason}, State) ->
    State;
message(Stray, State) ->
    ?LOG_WARNING(#{what => py_stray_message, handler => self(), message => Stray}),
    State.

%% What Python sends

-spec frames(non_neg_integer(), #state{}) -> #state{}.
frames(0, State) ->
    State;
frames(Left, State) ->
    case too_much(State) of
        true ->
            State#state{reading = {paused, erlang:start_timer(?PAUSE, self(), read_on)}};
        false ->
            case next(State) of
                {read, _Size, State1} -> frames(Left - 1, State1);
                {wait, State1} -> State1
            end
    end.

-spec trickle(integer(), #state{}) -> #state{}.
trickle(Bytes, State) when Bytes =< 0 ->
    State;
trickle(Bytes, State) ->
    case next(State) of
        {read, Size, State1} -> trickle(Bytes - Size, State1);
        {wait, State1} -> State1
    end.

-spec too_much(#state{}) -> boolean().
too_much(#state{max_queued = Max} = State) ->
    queued(State) > Max.

%% The bytes of the payloads of calls under way, and of answers not yet written.
-spec queued(#state{}) -> non_neg_integer().
queued(#state{backlog = Backlog, size = Size, writing = Writing}) ->
    Unread = case Writing of none -> 0; {_, _, Rest} -> Rest end,
    py_backlog:bytes(Backlog) + Size + Unread.

-spec next(#state{}) -> {read, pos_integer(), #state{}} | {wait, #state{}}.
next(#state{channel = Channel} = State) ->
    case py_channel:next(Channel) of
        {frame, {_, _, Payload} = Frame, Channel1} ->
            State1 = frame(Frame, debug({in, Frame}, State#state{channel = Channel1})),
            {read, py_frame:length_field(byte_size(Payload)), State1};
        {wait, Handle, Channel1} ->
            {wait, State#state{channel = Channel1, reading = Handle}};
        {error, Reason} ->
            stop(Reason, State)
    end.

-spec frame(py_frame:frame(), #state{}) -> #state{}.
frame({call, Id, Payload}, State) ->
    add(Id, own(Payload, State), unused(Id, State));
frame({cast, _Id, Payload}, State) ->
    add(make_ref(), own(Payload, State), State);
frame({calls, Id, Payload}, State) ->
    case py_batch:new(Id, own(Payload, State)) of
        {ok, Batch} -> add_batch(Batch, unused(Id, State));
        error -> stop({bad_calls, Id}, State)
    end;
frame({cancel, Id, _}, #state{batches = Batches} = State) ->
    {Keys, Batches1} = py_batches:cancel(Id, Batches),
    lists:foldl(fun cancel/2, State#state{batches = Batches1}, Keys);
frame({bye, _, _}, State) ->
    stop(closed, State);
frame({Kind, Id, _}, State) ->
    stop({unexpected_frame, Kind, Id}, State).

%% Copies a payload out of the buffer it was read in, if the buffer is much larger or the call has
%% to wait: the payload would keep the whole buffer in memory until its call is over.
-spec own(binary(), #state{}) -> binary().
own(Payload, #state{backlog = Backlog}) ->
    Beside = binary:referenced_byte_size(Payload) - 2 * byte_size(Payload),
    case Beside > ?SPARE orelse (Beside > 0 andalso py_backlog:full(Backlog)) of
        true -> binary:copy(Payload);
        false -> Payload
    end.

-spec unused(py_frame:id(), #state{}) -> #state{}.
unused(Id, #state{batches = Batches, backlog = Backlog} = State) ->
    case py_batches:is_key(Id, Batches) orelse py_backlog:is_key(Id, Backlog) of
        true -> stop({id_in_use, Id}, State);
        false -> State
    end.

%% Builtins do not wait: all running functions may be waiting for a message, or for a process to be
%% killed.
-spec add(py_backlog:key(), binary(), #state{}) -> #state{}.
add(Key, Payload, #state{backlog = Backlog, context = Context} = State) ->
    Size = byte_size(Payload),
    case py_submitted:is_builtin(Payload) of
        true -> State#state{backlog = py_backlog:run(Key, Size, py_submitted:start(Key, Payload, Context), Backlog)};
        false -> start(State#state{backlog = py_backlog:add(Key, Payload, Size, Backlog)})
    end.

-spec add_batch(py_batch:batch(), #state{}) -> #state{}.
add_batch(Batch, #state{backlog = Backlog, batches = Batches} = State) ->
    case py_batches:add(Batch, Batches) of
        {together, Batches1} ->
            Size = byte_size(py_batch:payload(Batch)),
            start(State#state{backlog = py_backlog:add(py_batch:id(Batch), Batch, Size, Backlog), batches = Batches1});
        {alone, Calls, Batches1} ->
            lists:foldl(fun({Key, Payload}, S) -> add(Key, Payload, S) end, State#state{batches = Batches1}, Calls)
    end.

-spec cancel(py_backlog:key(), #state{}) -> #state{}.
cancel(Key, #state{backlog = Backlog} = State) ->
    case py_backlog:cancel(Key, Backlog) of
        {kill, Worker, Backlog1} ->
            exit(Worker, kill),
            {_, State1} = take_kept(Worker, State),
            State1#state{backlog = Backlog1};
        {ok, Backlog1} ->
            State#state{backlog = Backlog1}
    end.

%% Starts calls while there are places. Starts nothing while answers cannot be written.
-spec start(#state{}) -> #state{}.
start(#state{writing = none, backlog = Backlog} = State) ->
    case py_backlog:next(Backlog) of
        {start, Key, Work, Backlog1} ->
            {Worker, State1} = spawn_worker(Key, Work, State),
            start(State1#state{backlog = py_backlog:started(Key, Worker, Backlog1)});
        {none, Backlog1} ->
            State#state{backlog = Backlog1}
    end;
start(State) ->
    State.

-spec spawn_worker(py_backlog:key(), py_backlog:work(), #state{}) -> {pid(), #state{}}.
spawn_worker(Key, Payload, #state{context = Context} = State) when is_binary(Payload) ->
    {py_submitted:start(Key, Payload, Context), State};
spawn_worker(Id, Batch, #state{context = #{tag := Tag} = Context, batches = Batches, kept = Kept} = State) ->
    {Claims, Batches1} = py_batches:start(Id, Batches),
    Worker = py_submitted:start(py_batch:payload(Batch), py_batch:count(Batch), Claims, Context),
    %% Not cancelled: it means nothing once the process has ended.
    _ = erlang:send_after(?SOON, self(), {Tag, {split, Worker}}),
    {Worker, State#state{batches = Batches1, kept = Kept#{Worker => []}}}.

-spec take_kept(pid(), #state{}) -> {[py_batch:answer()], #state{}}.
take_kept(Worker, #state{kept = Kept} = State) ->
    case maps:take(Worker, Kept) of
        {Answers, Rest} -> {Answers, State#state{kept = Rest}};
        error -> {[], State}
    end.

%% What Python gets

-spec answer(py_backlog:key(), py_submitted:answer(), #state{}) -> #state{}.
answer(Id, {_Index, _Kind, _Payload} = Answer, #state{batches = Batches} = State) ->
    {Frames, Progress, Batches1} = py_batches:answer(Id, Answer, Batches),
    over(Progress, Id, batch_out(Id, Frames, State#state{batches = Batches1}));
answer(Key, Answer, State) ->
    over(over, Key, reply(Key, Answer, State)).

-spec over(py_batches:progress(), py_backlog:key(), #state{}) -> #state{}.
over(over, Key, #state{backlog = Backlog} = State) ->
    start(State#state{backlog = py_backlog:over(Key, Backlog)});
over(running, _Key, State) ->
    State.

-spec split(pid(), #state{}) -> #state{}.
split(Worker, #state{batches = Batches, backlog = Backlog} = State) ->
    {ok, Id} = py_backlog:key(Worker, Backlog),
    {Answers, State1} = take_kept(Worker, State),
    {Frames, Calls, Progress, Batches1} = py_batches:split(Id, Answers, Batches),
    over(Progress, Id, queue_first(Calls, batch_out(Id, Frames, State1#state{batches = Batches1}))).

%% A process has ended before its call was answered, or with answers kept here.
-spec ended(py_backlog:key(), [py_batch:answer()], term(), #state{}) -> #state{}.
ended(Cast, [], normal, State) when is_reference(Cast) ->
    State;
ended(Cast, [], Reason, State) when is_reference(Cast) ->
    ?LOG_WARNING(#{what => py_cast_failed, failure => py_failure:raised(exit, Reason, [])}),
    State;
ended({_, _} = Key, [], Reason, State) ->
    reply(Key, {exit, Reason}, State);
ended(Id, Answers, Reason, #state{batches = Batches, context = #{max_frame := MaxFrame}} = State) ->
    case py_batches:is_key(Id, Batches) of
        true ->
            {Frames, Calls, Batches1} = py_batches:ended(Id, Answers, Reason, Batches),
            queue_first(Calls, batch_out(Id, Frames, State#state{batches = Batches1}));
        false ->
            reply(Id, py_function:answer({error, py_failure:raised(exit, Reason, [])}, MaxFrame), State)
    end.

-spec queue_first(py_batches:calls(), #state{}) -> #state{}.
queue_first(Calls, #state{backlog = Backlog} = State) ->
    start(State#state{backlog = py_backlog:add_first(Calls, Backlog)}).

-spec reply(py_backlog:key(), {ok | error, py_term:payload()} | {exit, term()}, #state{}) -> #state{}.
reply(Cast, _Answer, State) when is_reference(Cast) ->
    State;
reply({Id, Index}, Answer, #state{batches = Batches} = State) ->
    {Frames, Batches1} = py_batches:single(Id, Index, Answer, Batches),
    batch_out(Id, Frames, State#state{batches = Batches1});
reply(Id, {Kind, Payload}, #state{answered = Answered} = State) ->
    State1 = debug({out, {Kind, Id, Payload}}, State#state{answered = Answered + 1}),
    out([py_frame:header(Kind, Id, iolist_size(Payload)) | Payload], State1).

-spec batch_out(py_frame:id(), iodata(), #state{}) -> #state{}.
batch_out(_Id, [], State) ->
    State;
batch_out(Id, Frames, State) ->
    out(Frames, debug({out, {Id, Frames}}, State)).

-spec out(iodata(), #state{}) -> #state{}.
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
        {wait, Handle, Rest} -> State#state{writing = {Handle, Rest, iolist_size(Rest)}};
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
            {"Answered", State#state.answered + py_batches:count(State#state.batches)},
            {"Running", Running},
            {"Waiting", Waiting},
            {"Queued", queued(State)},
            {"Paused", is_tuple(State#state.reading)},
            {"Blocked", State#state.writing =/= none}
        ]}
    ].
