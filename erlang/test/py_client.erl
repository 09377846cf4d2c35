%% The Python side of a connection, played by a test over a real socket.
-module(py_client).

-export([connect/0, connect/1, hello/1, hello/2, thread/0, async/0, close/1, path/0]).
-export([send/2, frame/4, send_frame/4, recv/1, recv/2, call/3, call_raw/2, eof/1]).
-export([calls_payload/2]).
-export([start_app/1, stop_app/0, watch/1]).

-type socket() :: socket:socket().
-export_type([socket/0]).

%% The application with these settings, and no Python unless asked for.
-spec start_app([{atom(), term()}]) -> ok.
start_app(Settings) ->
    _ = application:load(erlang_python),
    _ = [application:unset_env(erlang_python, Key) || {Key, _} <- application:get_all_env(erlang_python)],
    _ = [application:set_env(erlang_python, Key, Value) || {Key, Value} <- [{hosts, 0} | Settings]],
    {ok, _} = application:ensure_all_started(erlang_python),
    ok.

-spec stop_app() -> ok.
stop_app() ->
    _ = application:stop(erlang_python),
    _ = application:unload(erlang_python),
    ok.

-spec path() -> string().
path() -> py_coordinator:path().

-spec connect() -> socket().
connect() -> connect(path()).

-spec connect(string()) -> socket().
connect(Path) ->
    {ok, Socket} = socket:open(local, stream),
    ok = socket:connect(Socket, #{family => local, path => Path}),
    Socket.

-spec hello(socket()) -> term().
hello(Socket) -> hello(Socket, {erlpy, 1, thread, #{os_pid => 1, thread => 1}}).

-spec hello(socket(), term()) -> {py_frame:kind() | closed, term()}.
hello(Socket, Term) ->
    send_frame(Socket, 1, 0, term_to_binary(Term)),
    case recv(Socket) of
        {Kind, 0, Payload} -> {Kind, Payload};
        closed -> {closed, none}
    end.

%% A connection that is through with the handshake, and its handler.
-spec thread() -> {socket(), pid()}.
thread() ->
    Socket = connect(),
    {1, {erlpy, 1, Handler, #{max_frame := _}}} = hello(Socket),
    {Socket, Handler}.

%% The same for an async channel.
-spec async() -> {socket(), pid()}.
async() ->
    Socket = connect(),
    {1, {erlpy, 1, Channel, #{max_frame := _}}} = hello(Socket, {erlpy, 1, async, #{os_pid => 1}}),
    {Socket, Channel}.

-spec close(socket()) -> ok.
close(Socket) -> _ = socket:close(Socket), ok.

-spec send(socket(), iodata()) -> ok.
send(Socket, Data) -> ok = socket:send(Socket, iolist_to_binary(Data)).

-spec frame(integer(), byte(), integer(), binary()) -> binary().
frame(Length, Kind, Id, Payload) -> <<Length:32, Kind, Id:32, Payload/binary>>.

-spec send_frame(socket(), byte(), integer(), binary()) -> ok.
send_frame(Socket, Kind, Id, Payload) -> send(Socket, frame(5 + byte_size(Payload), Kind, Id, Payload)).

-spec call(socket(), term(), term()) -> {byte(), integer(), term()} | closed.
call(Socket, Target, Args) -> call_raw(Socket, term_to_binary({Target, Args})).

-spec call_raw(socket(), binary()) -> {byte(), integer(), term()} | closed.
call_raw(Socket, Payload) ->
    send_frame(Socket, 2, 1, Payload),
    recv(Socket).

%% The payload of a `calls' frame, from encoded arguments without the version byte.
-spec calls_payload(binary(), [binary()]) -> binary().
calls_payload(Name, Items) ->
    Sizes = << <<(byte_size(Item)):32>> || Item <- Items >>,
    iolist_to_binary([
        <<131, 104, 3, 109, (byte_size(Name)):32, Name/binary, 109, (byte_size(Sizes)):32, Sizes/binary>>,
        <<108, (length(Items)):32>>, Items, 106
    ]).

-spec recv(socket()) -> {byte(), integer(), term()} | closed.
recv(Socket) -> recv(Socket, 5000).

-spec recv(socket(), timeout()) -> {byte(), integer(), term()} | closed.
recv(Socket, Timeout) ->
    case socket:recv(Socket, 9, Timeout) of
        {ok, <<5:32, Kind, Id:32>>} ->
            {Kind, Id, empty};
        {ok, <<Length:32, Kind, Id:32>>} ->
            {ok, Payload} = socket:recv(Socket, Length - 5, Timeout),
            {Kind, Id, binary_to_term(Payload)};
        {error, closed} -> closed;
        {error, {closed, _}} -> closed;
        {error, econnreset} -> closed
    end.

%% The other side has closed, and says nothing more.
-spec eof(socket()) -> boolean().
eof(Socket) -> recv(Socket) =:= closed.

%% A monitor that is there when this returns: that of a local process alone is asked for when the caller next sends something or waits,
%% and would find one that is killed meanwhile gone without a reason.
-spec watch(pid()) -> reference().
watch(Pid) ->
    Monitor = monitor(process, Pid),
    erlang:yield(),
    Monitor.
