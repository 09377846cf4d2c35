%% @doc Calls over a channel, either way, nested like a stack (PROTOCOL.md, section 4).
%%
%% While a registered function runs, its conversation stands in the process dictionary: that is how a `py:call' inside it finds the
%% way back to the very Python thread that waits for it.
-module(py_conversation).

-export([new/2, channel/1, next/1, cancel/1, calls/1]).
-export([serve/2, request/2]).
-export([inside/0, nested/2, set_space/2]).
-export_type([conversation/0, outcome/0, space/0]).

-record(conversation, {
    channel :: py_channel:channel(),
    max_frame :: pos_integer(),
    policy :: py_term:policy(),
    %% Whom the other side knows: functions may run in another process, see py_handler.
    handler :: pid(),
    next_id = 1 :: py_frame:id(),
    calls = 0 :: non_neg_integer(),
    %% Whether the process has been given room for large calls.
    roomy = false :: boolean(),
    space = none :: space(),
    %% Calls of Python that wait inside each other, and how many may.
    depth = 0 :: non_neg_integer(),
    max_nesting :: pos_integer(),
    %% The call that nobody waits for any more and that is not answered yet, until when it may be, and what is to end it.
    late = none :: none | {py_frame:id(), integer(), py_interrupter:interrupter()},
    %% Why nothing can be said any more, once that is so.
    broken = none :: none | {broken, term()}
}).

-opaque conversation() :: #conversation{}.

%% What became of a call of Python: the payload of its ok or error frame, or neither.
-type outcome() :: {ok, binary()} | {error, binary()} | timeout | {down, term()}.

%% Whose namespace Python code runs in: that of a process of the node, or the Python program's own `__main__'.
-type space() :: none | pid().

-define(KEY, '$py_conversation').

%% A call of so many bytes is large; and so much room, in words, is made for one at most.
-define(LARGE, 16#1000).
-define(ROOM, 16#40000).

%% For Python to end a call that nobody waits for any more.
-define(GRACE, 5000).

-spec new(py_channel:channel(), #{max_frame := pos_integer(), policy := py_term:policy(), _ => _}) -> conversation().
new(Channel, #{max_frame := MaxFrame, policy := Policy}) ->
    #conversation{channel = Channel, max_frame = MaxFrame, policy = Policy, handler = self(), max_nesting = py_settings:get(max_nesting)}.

-spec channel(conversation()) -> py_channel:channel().
channel(#conversation{channel = Channel}) ->
    Channel.

%% @doc How many calls of Python's have been served.
-spec calls(conversation()) -> non_neg_integer().
calls(#conversation{calls = Calls}) ->
    Calls.

%% @doc As {@link py_channel:next/1}.
-spec next(conversation()) ->
    {frame, py_frame:frame(), conversation()} | {wait, reference(), conversation()} | {error, term()}.
next(#conversation{broken = {broken, Reason}}) ->
    {error, Reason};
next(#conversation{channel = Channel} = Conversation) ->
    case py_channel:next(Channel) of
        {frame, Frame, Channel1} -> {frame, Frame, Conversation#conversation{channel = Channel1}};
        {wait, Handle, Channel1} -> {wait, Handle, Conversation#conversation{channel = Channel1}};
        {error, Reason} -> {error, Reason}
    end.

%% @doc As {@link py_channel:cancel/1}.
-spec cancel(conversation()) -> conversation().
cancel(#conversation{channel = Channel} = Conversation) ->
    Conversation#conversation{channel = py_channel:cancel(Channel)}.

%% Python calls

%% @doc Runs what a call or cast frame asks for, in this process, and answers a call.
-spec serve({call | cast, py_frame:id(), binary()}, conversation()) -> {ok, conversation()} | {error, term()}.
serve({call, Id, Payload}, Conversation) ->
    Size = byte_size(Payload),
    #conversation{calls = Calls} = Conversation1 = make_room(Size, Conversation),
    {Answer, Conversation2} = run(decode(Payload, Conversation), Conversation1#conversation{calls = Calls + 1}),
    Answered = answer(Id, Answer, settle(Conversation2)),
    _ = collect(Size, Conversation),
    Answered;
serve({cast, _Id, Payload}, #conversation{calls = Calls} = Conversation) ->
    %% No Python thread waits for it, so it finds none to call back.
    case run(decode(Payload, Conversation)) of
        {ok, _} -> ok;
        {error, Failure} -> logger:warning(#{what => py_cast_failed, failure => Failure})
    end,
    {ok, Conversation#conversation{calls = Calls + 1}}.

%% A term that does not find room in the heap comes into a fragment beside it, and is copied at once, by the collection that this causes. A word
%% for each byte is about what lists of numbers need.
-spec make_room(non_neg_integer(), conversation()) -> conversation().
make_room(Size, #conversation{roomy = false} = Conversation) when Size < ?LARGE ->
    Conversation;
make_room(Size, Conversation) when Size < ?LARGE ->
    {min_heap_size, Words} = erlang:system_info(min_heap_size),
    _ = process_flag(min_heap_size, Words),
    Conversation#conversation{roomy = false};
make_room(Size, Conversation) ->
    _ = process_flag(min_heap_size, min(Size, ?ROOM)),
    Conversation#conversation{roomy = true}.

%% After a large call next to nothing is left alive: to collect now is cheap, makes the room for the next one, and lets go of large binaries. A
%% context's process ends with the call.
-spec collect(non_neg_integer(), conversation()) -> boolean().
collect(Size, #conversation{depth = 0, handler = Handler}) when Size >= ?LARGE, Handler =:= self() -> erlang:garbage_collect();
collect(_Size, _Conversation) -> false.

-type asked() :: {ok, {Target :: term(), Args :: term()}} | {error, py_failure:failure()}.

-spec decode(binary(), conversation()) -> asked().
decode(Payload, #conversation{policy = Policy}) ->
    py_function:decode(Payload, Policy).

-spec run(asked(), conversation()) -> {py_function:result(), conversation()}.
run(Asked, Conversation) ->
    put(?KEY, Conversation),
    Answer = run(Asked),
    %% A function that clears its process dictionary takes our entry with it; between calls nothing in it has changed.
    case erase(?KEY) of
        #conversation{} = Conversation1 -> {Answer, Conversation1};
        _ -> {Answer, Conversation}
    end.

-spec run(asked()) -> py_function:result().
run({ok, {Target, Args}}) -> py_function:run(Target, Args);
run({error, Failure}) -> {error, Failure}.

-spec answer(py_frame:id(), py_function:result(), conversation()) -> {ok, conversation()} | {error, term()}.
answer(_Id, _Answer, #conversation{broken = {broken, Reason}}) ->
    {error, Reason};
answer(Id, Answer, #conversation{channel = Channel, max_frame = MaxFrame} = Conversation) ->
    {Kind, Payload} = py_function:answer(Answer, MaxFrame),
    case py_channel:send(Channel, Kind, Id, Payload) of
        ok -> {ok, Conversation};
        {error, Reason} -> {error, Reason}
    end.

%% Calls of Python

%% @doc Sends a call; the answer is the frame that {@link next/1} gives with that id.
-spec request(py_term:payload(), conversation()) -> {ok, py_frame:id(), conversation()} | {error, term()}.
request(_Payload, #conversation{broken = {broken, Reason}}) ->
    {error, Reason};
request(Payload, #conversation{channel = Channel, next_id = Id} = Conversation) ->
    case py_channel:send(Channel, call, Id, Payload) of
        ok -> {ok, Id, Conversation#conversation{next_id = (Id rem 16#FFFFFFFF) + 1}};
        {error, Reason} -> {error, Reason}
    end.

%% @doc The namespace in which the Python code runs that called the function this process runs; `false' when it runs none.
-spec inside() -> {true, space()} | false.
inside() ->
    case get(?KEY) of
        #conversation{space = Space} -> {true, Space};
        undefined -> false
    end.

%% @doc Says for whom Python works from now on.
-spec set_space(space(), conversation()) -> conversation().
set_space(Space, Conversation) ->
    Conversation#conversation{space = Space}.

%% @doc Calls the Python thread that waits for the function running here, and serves its calls meanwhile.
%% Only messages of the socket are received, so what the function itself waits for stays in its mailbox.
-spec nested(py_term:payload(), timeout()) -> outcome().
nested(Payload, Timeout) ->
    case get(?KEY) of
        #conversation{depth = Max, max_nesting = Max} ->
            {error, py_term:encode(py_failure:nesting(Max))};
        #conversation{depth = Depth} = Conversation ->
            _ = erase(?KEY),
            {Outcome, Conversation1} = ask(Payload, Timeout, Conversation#conversation{depth = Depth + 1}),
            put(?KEY, Conversation1#conversation{depth = Depth}),
            Outcome
    end.

-spec ask(py_term:payload(), timeout(), conversation()) -> {outcome(), conversation()}.
ask(Payload, Timeout, Conversation) ->
    Settled = settle(Conversation),
    case request(Payload, Settled) of
        {ok, Id, Asked} ->
            case await(Id, deadline(Timeout), Asked) of
                {timeout, Conversation1} -> {timeout, give_up(Id, Conversation1)};
                Answered -> Answered
            end;
        {error, Reason} ->
            break(Reason, Settled)
    end.

%% The function goes on at once. Python is told to stop, which only a context can be.
-spec give_up(py_frame:id(), conversation()) -> conversation().
give_up(Id, #conversation{handler = Handler, depth = Depth} = Conversation) ->
    %% The level around all is that of the call which the context was given.
    Interrupter = py_interrupter:start(Handler, Depth + 1),
    Conversation#conversation{late = {Id, deadline(?GRACE), Interrupter}}.

%% Before anything else is said the late answer has to come: a reply answers the youngest call outstanding.
-spec settle(conversation()) -> conversation().
settle(#conversation{late = none} = Conversation) ->
    Conversation;
settle(#conversation{late = {Id, Deadline, Interrupter}} = Conversation) ->
    {Outcome, Conversation1} = await(Id, Deadline, Conversation#conversation{late = none}),
    ok = py_interrupter:stop(Interrupter),
    case Outcome of
        timeout -> {_, Broken} = break(timeout, Conversation1), Broken;
        _Dropped -> Conversation1
    end.

-spec await(py_frame:id(), infinity | integer(), conversation()) -> {outcome(), conversation()}.
await(Id, Deadline, Conversation) ->
    case next(Conversation) of
        {frame, {Kind, Id, Payload}, Conversation1} when Kind =:= ok; Kind =:= error ->
            {{Kind, Payload}, Conversation1};
        {frame, {Kind, _, _} = Frame, Conversation1} when Kind =:= call; Kind =:= cast ->
            case serve(Frame, Conversation1) of
                {ok, Conversation2} -> await(Id, Deadline, Conversation2);
                {error, Reason} -> break(Reason, Conversation1)
            end;
        {frame, {Kind, OtherId, _}, Conversation1} ->
            break({unexpected_frame, Kind, OtherId}, Conversation1);
        {wait, Handle, Conversation1} ->
            %% Ends with the message of the socket, which comes at the latest when the thread at its other end dies, or with the
            %% deadline. An exit of the parent ends this process, unless the function has made it trap exits: then the supervisor
            %% kills it.
            receive
                {'$socket', _, select, Handle} -> await(Id, Deadline, Conversation1);
                {'$socket', _, abort, {Handle, Reason}} -> break(Reason, Conversation1)
            after left(Deadline) ->
                {timeout, cancel(Conversation1)}
            end;
        {error, Reason} ->
            break(Reason, Conversation)
    end.

%% With a reply outstanding that does not come, the two ends no longer agree on whose turn it is.
-spec break(term(), conversation()) -> {outcome(), conversation()}.
break(Reason, #conversation{channel = Channel} = Conversation) ->
    ok = py_channel:close(Channel),
    {{down, Reason}, Conversation#conversation{broken = {broken, Reason}}}.

-spec deadline(timeout()) -> infinity | integer().
deadline(infinity) -> infinity;
deadline(Timeout) -> erlang:monotonic_time(millisecond) + Timeout.

-spec left(infinity | integer()) -> timeout().
left(infinity) -> infinity;
left(Deadline) -> max(0, Deadline - erlang:monotonic_time(millisecond)).
