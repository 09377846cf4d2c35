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
    loop(#state{
        parent = Parent,
        debug = sys:debug_options([]),
        channel = py_channel:unpolled(Channel),
        max_frame = py_settings:get(max_frame),
        policy = case py_settings:get(create_atoms) of true -> create; false -> safe end,
        backlog = py_backlog:new(py_settings:get(max_async))
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
message({?MODULE, answer, Worker, Kind, Payload}, State) ->
    over(Worker, fun() -> {Kind, Payload} end, State);
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
    over(Worker, fun() -> py_function:answer({error, py_failure:raised(exit, Reason, [])}, State#state.max_frame) end, State);
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
    add(Id, Payload, State);
frame({cast, _Id, Payload}, State) ->
    add(make_ref(), Payload, State);
frame({cancel, Id, _}, #state{backlog = Backlog} = State) ->
    case py_backlog:cancel(Id, Backlog) of
        {kill, Worker, Backlog1} ->
            exit(Worker, kill),
            State#state{backlog = Backlog1};
        {ok, Backlog1} ->
            State#state{backlog = Backlog1}
    end;
frame({bye, _, _}, State) ->
    stop(closed, State);
frame({Kind, Id, _}, State) ->
    stop({unexpected_frame, Kind, Id}, State).

-spec add(py_backlog:key(), binary(), #state{}) -> #state{}.
add(Key, Payload, #state{backlog = Backlog} = State) ->
    case py_backlog:add(Key, Payload, Backlog) of
        {ok, Backlog1} -> start(State#state{backlog = Backlog1});
        error -> stop({id_in_use, Key}, State)
    end.

%% Starts what may run. While Python does not take its answers, nothing.
-spec start(#state{}) -> #state{}.
start(#state{writing = none, backlog = Backlog, policy = Policy, max_frame = MaxFrame} = State) ->
    case py_backlog:next(Backlog) of
        {start, Key, Payload, Backlog1} ->
            Channel = self(),
            Work =
                case is_reference(Key) of
                    true -> fun() -> cast(Payload, Policy) end;
                    false -> fun() -> call(Channel, Payload, Policy, MaxFrame) end
                end,
            start(State#state{backlog = py_backlog:started(Key, spawn_link(Work), Backlog1)});
        {none, Backlog1} ->
            State#state{backlog = Backlog1}
    end;
start(State) ->
    State.

%% In a process of its own

-spec call(pid(), binary(), py_term:policy(), pos_integer()) -> ok.
call(Channel, Payload, Policy, MaxFrame) ->
    {Kind, Answer} = py_function:answer(perform(Payload, Policy), MaxFrame),
    Channel ! {?MODULE, answer, self(), Kind, Answer},
    ok.

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

-spec over(pid(), fun(() -> {ok | error, binary()}), #state{}) -> #state{}.
over(Worker, Answer, #state{backlog = Backlog, answered = Answered} = State) ->
    case py_backlog:over(Worker, Backlog) of
        {ok, Id, Backlog1} when is_integer(Id) ->
            {Kind, Payload} = Answer(),
            State1 = debug({out, {Kind, Id, Payload}}, State#state{backlog = Backlog1, answered = Answered + 1}),
            start(out(py_frame:header(Kind, Id, byte_size(Payload)), Payload, State1));
        {_, _, Backlog1} ->
            start(State#state{backlog = Backlog1})
    end.

-spec out(binary(), binary(), #state{}) -> #state{}.
out(Header, Payload, #state{out = Out, size = Size} = State) ->
    State1 = State#state{out = [Out, Header, Payload], size = Size + byte_size(Header) + byte_size(Payload)},
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
write_event(Device, {Direction, {Kind, Id, Payload}}, Name) ->
    io:format(Device, "*DBG* ~p ~ts ~ts ~b, ~b bytes~n", [Name, Direction, Kind, Id, byte_size(Payload)]).

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
            {"Answered", State#state.answered},
            {"Running", Running},
            {"Waiting", Waiting},
            {"Blocked", State#state.writing =/= none}
        ]}
    ].
