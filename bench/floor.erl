%% The floor: a bare process at the other end of a socket, which polls by the same means as a handler and answers every call with bytes that
%% it has ready. It decodes nothing and looks nothing up, so what a call costs above it is erlpy's.
-module(floor).

-export([start_floor/1]).

%% They take longer than it takes to wake the other end. With fewer, two ends that sleep once may never find each other awake again, and a
%% floor is what calls cost at best.
-define(TRIES, 100).

%% Listens at the path, for one connection.
-spec start_floor([binary()]) -> ok.
start_floor([Path]) ->
    Starter = self(),
    Ref = make_ref(),
    _ = spawn(fun() ->
        {ok, Listener} = socket:open(local, stream),
        ok = socket:bind(Listener, #{family => local, path => Path}),
        ok = socket:listen(Listener),
        Starter ! Ref,
        {ok, Socket} = socket:accept(Listener),
        _ = socket:close(Listener),
        {ok, <<_Hello/binary>>} = socket:recv(Socket, 0),
        ok = socket:send(Socket, py_frame:encode(hello, 0, py_handshake:welcome(self(), 16#FFFF))),
        serve(Socket)
    end),
    receive Ref -> ok after 5000 -> error(timeout) end.

%% A frame is as small as its one read: nobody sends two without waiting.
-spec serve(socket:socket()) -> ok.
serve(Socket) ->
    case next(Socket, ?TRIES) of
        {ok, <<_Length:32, 2, Id:32, _Payload/binary>>} ->
            %% ok, and an integer of as many bytes as double_it's.
            ok = socket:send(Socket, <<11:32, 3, Id:32, 131, 98, 42000:32>>),
            serve(Socket);
        {ok, _Bye} ->
            ok;
        {error, _} ->
            ok
    end.

-spec next(socket:socket(), non_neg_integer()) -> {ok, binary()} | {error, term()}.
next(Socket, 0) ->
    socket:recv(Socket, 0);
next(Socket, Tries) ->
    case socket:recv(Socket, 0, [], 0) of
        {error, timeout} -> erlang:yield(), next(Socket, Tries - 1);
        Result -> Result
    end.
