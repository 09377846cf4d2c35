%% @doc One connection, as frames: what has been read and not yet used, and how to wait for more.
%%
%% Reading never blocks (but for {@link recv/2}): {@link next/1} tries a few times, which is what makes a quick caller's
%% calls quick, and then asks the socket for a message and returns, so that the process that owns it can wait for that message
%% and any other.
-module(py_channel).

-export([new/2, unpolled/1, next/1, cancel/1, recv/2, send/4, write/2, close/1]).
-export_type([channel/0, options/0, reason/0]).

-type options() :: #{max_frame := pos_integer(), poll := non_neg_integer()}.

-record(channel, {
    socket :: socket:socket(),
    max_frame :: pos_integer(),
    polling :: py_polling:polling(),
    %% What has arrived, newest first, and how many bytes are wanted before it is worth looking at again.
    chunks = [] :: [binary()],
    missing = 9 :: non_neg_integer(),
    %% The message asked for, until a frame came or it was cancelled. After it there is something to read, and no need to poll.
    pending = none :: none | socket:select_info()
}).

-opaque channel() :: #channel{}.
-type reason() :: closed | py_frame:reason() | timeout | atom().

%% Above this much missing, the rest of a frame is read in pieces of up to PIECE, and not polled for.
-define(LARGE, 16#2000).
-define(PIECE, 16#40000).

%% @doc A channel over a connected socket that the calling process owns.
-spec new(socket:socket(), options()) -> channel().
new(Socket, #{max_frame := MaxFrame, poll := Poll}) ->
    #channel{socket = Socket, max_frame = MaxFrame, polling = py_polling:new(Poll)}.

%% @doc The same without trying a few times, for a process that always has something else to do meanwhile.
-spec unpolled(channel()) -> channel().
unpolled(Channel) ->
    Channel#channel{polling = py_polling:new(0)}.

%% @doc The next frame, or the promise of a message `{'$socket', _, select, Handle}' (or `abort'). After that message the caller asks
%% again; a caller that does not want to wait for it calls {@link cancel/1} before it asks again.
-spec next(channel()) -> {frame, py_frame:frame(), channel()} | {wait, reference(), channel()} | {error, reason()}.
next(Channel) ->
    take(Channel).

%% @doc Takes back the promise of a message; the message too, if it came already.
-spec cancel(channel()) -> channel().
cancel(#channel{pending = none} = Channel) ->
    Channel;
cancel(#channel{socket = Socket, pending = {select_info, _, Handle} = Info} = Channel) ->
    _ = socket:cancel(Socket, Info),
    receive
        {'$socket', Socket, _, Handle} -> ok;
        {'$socket', Socket, abort, {Handle, _}} -> ok
    after 0 -> ok
    end,
    Channel#channel{pending = none}.

%% @doc The next frame within `Timeout' ms; the caller waits here.
-spec recv(channel(), non_neg_integer()) -> {frame, py_frame:frame(), channel()} | {error, reason()}.
recv(Channel, Timeout) ->
    recv_until(Channel, erlang:monotonic_time(millisecond) + Timeout).

-spec recv_until(channel(), integer()) -> {frame, py_frame:frame(), channel()} | {error, reason()}.
recv_until(Channel, Deadline) ->
    case next(Channel) of
        {wait, Handle, Channel1} ->
            receive
                {'$socket', _, select, Handle} -> recv_until(Channel1, Deadline);
                {'$socket', _, abort, {Handle, Reason}} -> {error, Reason}
            after max(0, Deadline - erlang:monotonic_time(millisecond)) ->
                _ = cancel(Channel1),
                {error, timeout}
            end;
        Other ->
            Other
    end.

%% @doc Sends a frame. Waits while the other side does not read: that side is a thread that waits for this very frame, or one that
%% has died, which ends the wait with an error.
-spec send(channel(), py_frame:kind(), py_frame:id(), py_term:payload()) -> ok | {error, reason()}.
send(#channel{socket = Socket}, Kind, Id, Payload) when is_binary(Payload), byte_size(Payload) < ?LARGE ->
    sent(socket:send(Socket, py_frame:encode(Kind, Id, Payload)));
send(Channel, Kind, Id, Payload) when is_binary(Payload) ->
    send(Channel, Kind, Id, [Payload]);
send(#channel{socket = Socket}, Kind, Id, Pieces) ->
    %% Straight from where they are: socket:send/2 would make one binary of them first.
    sent(socket:sendmsg(Socket, #{iov => [py_frame:header(Kind, Id, iolist_size(Pieces)) | Pieces]})).

%% @doc Sends what can be sent at once, whole frames by {@link py_frame}. After the message `{'$socket', _, select, Handle}' the caller writes
%% the rest; until then nothing else.
-spec write(channel(), iodata()) -> ok | {wait, reference(), Rest :: iodata()} | {error, reason()}.
write(#channel{socket = Socket} = Channel, Data) ->
    Written =
        case iolist_size(Data) < ?LARGE of
            true -> socket:send(Socket, Data, [], nowait);
            %% As in send/4.
            false -> socket:sendmsg(Socket, #{iov => erlang:iolist_to_iovec(Data)}, [], nowait)
        end,
    case Written of
        ok -> ok;
        {ok, Rest} -> write(Channel, Rest);
        {select, {{select_info, _, Handle}, Rest}} -> {wait, Handle, Rest};
        {select, {select_info, _, Handle}} -> {wait, Handle, Data};
        {error, {Reason, _Rest}} -> {error, Reason};
        {error, Reason} -> {error, Reason}
    end.

-spec sent(ok | {ok, binary() | erlang:iovec()} | {error, term()}) -> ok | {error, reason()}.
sent(ok) -> ok;
sent({ok, _Rest}) -> {error, closed};
sent({error, {Reason, _Rest}}) when is_atom(Reason) -> {error, Reason};
sent({error, Reason}) when is_atom(Reason) -> {error, Reason}.

%% @doc Closes; the other side reads what was sent before, and then end of file.
-spec close(channel()) -> ok.
close(#channel{socket = Socket}) ->
    _ = socket:close(Socket),
    ok.

%% Reading

-type next() :: {frame, py_frame:frame(), channel()} | {wait, reference(), channel()} | {error, reason()}.

-spec take(channel()) -> next().
take(#channel{missing = 0, chunks = Chunks, max_frame = Max} = Channel) ->
    Buffer = join(Chunks),
    case py_frame:decode(Buffer, Max) of
        {ok, Frame, <<>>} -> {frame, Frame, Channel#channel{chunks = [], missing = 9, pending = none}};
        {ok, Frame, Rest} -> {frame, Frame, Channel#channel{chunks = [Rest], pending = none}};
        {more, Missing} -> read(Channel#channel{chunks = [Buffer], missing = Missing});
        {error, Reason} -> {error, Reason}
    end;
take(Channel) ->
    read(Channel).

-spec read(channel()) -> next().
read(#channel{missing = Missing} = Channel) when Missing > ?LARGE ->
    ask(Channel, min(Missing, ?PIECE));
read(#channel{pending = none, polling = Polling} = Channel) ->
    case py_polling:tries(Polling) of
        {none, Polling1} -> ask(Channel#channel{polling = Polling1}, 0);
        {Tries, Polling1} -> poll(Channel#channel{polling = Polling1}, 1, Tries)
    end;
read(Channel) ->
    ask(Channel, 0).

-spec poll(channel(), pos_integer(), pos_integer()) -> next().
poll(#channel{polling = Polling} = Channel, Try, Tries) when Try > Tries ->
    ask(Channel#channel{polling = py_polling:miss(Polling)}, 0);
poll(#channel{socket = Socket} = Channel, Try, Tries) ->
    case socket:recv(Socket, 0, [], 0) of
        {ok, Data} -> arrived(Data, hit(Try, Channel));
        {error, timeout} -> erlang:yield(), poll(Channel, Try + 1, Tries);
        {error, Reason} -> {error, Reason}
    end.

%% Mostly there is nothing to note.
-spec hit(pos_integer(), channel()) -> channel().
hit(Try, #channel{polling = Polling} = Channel) ->
    case py_polling:hit(Try, Polling) of
        Polling -> Channel;
        Polling1 -> Channel#channel{polling = Polling1}
    end.

%% Mostly it is one whole frame, and the channel is then as it was before.
-spec arrived(binary(), channel()) -> next().
arrived(Data, #channel{chunks = [], pending = none, max_frame = Max} = Channel) ->
    case py_frame:decode(Data, Max) of
        {ok, Frame, <<>>} -> {frame, Frame, Channel};
        _ -> take(add(Data, Channel))
    end;
arrived(Data, Channel) ->
    take(add(Data, Channel)).

-spec ask(channel(), non_neg_integer()) -> next().
ask(#channel{socket = Socket} = Channel, Length) ->
    case socket:recv(Socket, Length, [], nowait) of
        {ok, Data} -> take(add(Data, Channel));
        {select, {{select_info, _, Handle} = Info, Data}} -> {wait, Handle, (add(Data, Channel))#channel{pending = Info}};
        {select, {select_info, _, Handle} = Info} -> {wait, Handle, Channel#channel{pending = Info}};
        {error, {Reason, _Data}} -> {error, Reason};
        {error, Reason} -> {error, Reason}
    end.

-spec add(binary(), channel()) -> channel().
add(Data, #channel{chunks = Chunks, missing = Missing} = Channel) ->
    Channel#channel{chunks = [Data | Chunks], missing = max(0, Missing - byte_size(Data))}.

-spec join([binary()]) -> binary().
join([]) -> <<>>;
join([Chunk]) -> Chunk;
join(Chunks) -> iolist_to_binary(lists:reverse(Chunks)).
