%% @doc Owns the listening socket, starts a handler for each connection, and decides which connections may stay.
%%
%% It never waits for a connection: the handshake is the handler's business.
-module(py_coordinator).
-behaviour(gen_server).

-export([start_link/1, path/0, admit/2, expect/1, forget/1, threads/0, dismiss/1]).
-export([init/1, handle_continue/2, handle_call/3, handle_cast/2, handle_info/2]).

-include_lib("kernel/include/logger.hrl").

-record(state, {
    path :: string(),
    listener :: socket:socket(),
    admission :: py_admission:admission(),
    %% Who has ever awaited a connection, monitored once each.
    owners = #{} :: #{pid() => reference()}
}).

%% How long to leave connections waiting in the backlog when there are no descriptors left to accept them with.
-define(BREATH, 100).

-spec start_link(string()) -> gen_server:start_ret().
start_link(Path) ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, Path, []).

%% @doc The path of the socket.
-spec path() -> string().
path() ->
    gen_server:call(?MODULE, path).

%% @doc Called by a handler: may its connection stay? Whoever awaits the token gets `{py_joined, Token, Handler, Info}'.
-spec admit(py_handshake:role(), py_handshake:info()) -> ok | {refused, binary()}.
admit(Role, Info) ->
    gen_server:call(?MODULE, {admit, Role, Info}).

%% @doc A new token, for a connection that the calling process awaits.
-spec expect(host | context) -> py_handshake:token().
expect(Kind) ->
    gen_server:call(?MODULE, {expect, Kind}).

%% @doc The token is not awaited any more.
-spec forget(py_handshake:token()) -> ok.
forget(_Token) ->
    ok.

%% @doc The handlers of Python threads.
-spec threads() -> [pid()].
threads() ->
    gen_server:call(?MODULE, threads).

%% @doc Ends a handler with what it runs; `false' when that process is none.
-spec dismiss(pid()) -> boolean().
dismiss(Handler) ->
    case gen_server:call(?MODULE, {serves, Handler}) of
        true -> py_handler_sup:dismiss(Handler, cancelled), true;
        false -> false
    end.

%% gen_server

-spec init(string()) -> {ok, #state{}, {continue, accept}} | {stop, term()}.
init(Path) ->
    case py_endpoint:listen(Path) of
        {ok, Listener} ->
            %% After a crash of this process its handlers are still there, and still count.
            Handlers = py_handler_sup:handlers(),
            Admission = lists:foldl(fun py_admission:adopt/2, py_admission:new(py_settings:get(max_workers)), Handlers),
            _ = [monitor(process, Handler) || Handler <- Handlers],
            {ok, #state{path = Path, listener = Listener, admission = Admission}, {continue, accept}};
        {error, Reason} ->
            {stop, Reason}
    end.

-spec handle_continue(accept, #state{}) -> {noreply, #state{}} | {noreply, #state{}, {continue, accept}} | {stop, term(), #state{}}.
handle_continue(accept, State) ->
    accept(State).

-spec handle_call(term(), gen_server:from(), #state{}) -> {reply, term(), #state{}}.
handle_call({admit, Role, Info}, {Handler, _}, #state{admission = Admission} = State) ->
    case py_admission:admit(Handler, Role, Admission) of
        {ok, Awaited, Admission1} ->
            _ = tell(Awaited, Handler, Info),
            {reply, ok, State#state{admission = Admission1}};
        {refused, Text} ->
            {reply, {refused, Text}, State}
    end;
handle_call({expect, Kind}, {Owner, _}, #state{admission = Admission, owners = Owners} = State) ->
    Token = token(Kind),
    Owners1 = case Owners of
        #{Owner := _} -> Owners;
        #{} -> Owners#{Owner => monitor(process, Owner)}
    end,
    {reply, Token, State#state{admission = py_admission:expect(Token, Owner, Admission), owners = Owners1}};
handle_call(threads, _From, #state{admission = Admission} = State) ->
    {reply, py_admission:threads(Admission), State};
handle_call({serves, Handler}, _From, #state{admission = Admission} = State) ->
    {reply, py_admission:serves(Handler, Admission), State};
handle_call(path, _From, #state{path = Path} = State) ->
    {reply, Path, State}.

-spec handle_cast(term(), #state{}) -> {noreply, #state{}}.
handle_cast(Message, State) ->
    ?LOG_WARNING(#{what => py_stray_message, process => ?MODULE, message => Message}),
    {noreply, State}.

-spec handle_info(term(), #state{}) -> {noreply, #state{}} | {noreply, #state{}, {continue, accept}} | {stop, term(), #state{}}.
handle_info({'$socket', Listener, select, _Handle}, #state{listener = Listener} = State) ->
    accept(State);
handle_info(accept, State) ->
    accept(State);
handle_info({'DOWN', _, process, Pid, _}, #state{admission = Admission, owners = Owners} = State) when is_map_key(Pid, Owners) ->
    {noreply, State#state{admission = py_admission:forget(Pid, Admission), owners = maps:remove(Pid, Owners)}};
handle_info({'DOWN', _, process, Handler, _}, #state{admission = Admission} = State) ->
    {noreply, State#state{admission = py_admission:leave(Handler, Admission)}};
handle_info(Message, State) ->
    handle_cast(Message, State).

%% Accepting

%% One connection, and then whatever else is in the mailbox: a burst of connections does not hold up their own admission.
-spec accept(#state{}) -> {noreply, #state{}} | {noreply, #state{}, {continue, accept}} | {stop, term(), #state{}}.
accept(#state{listener = Listener} = State) ->
    case socket:accept(Listener, nowait) of
        {ok, Socket} ->
            handle(Socket),
            self() ! accept,
            {noreply, State};
        {select, _Info} ->
            {noreply, State};
        {error, Reason} when Reason =:= emfile; Reason =:= enfile; Reason =:= enobufs; Reason =:= enomem ->
            ?LOG_ERROR(#{what => py_accept_failed, reason => Reason}),
            _ = erlang:send_after(?BREATH, self(), accept),
            {noreply, State};
        {error, econnaborted} ->
            {noreply, State, {continue, accept}};
        {error, Reason} ->
            {stop, {accept, Reason}, State}
    end.

-spec handle(socket:socket()) -> ok.
handle(Socket) ->
    {ok, Handler} = py_handler_sup:start_handler(),
    _ = monitor(process, Handler),
    case py_handler:give(Handler, Socket) of
        ok ->
            ok;
        {error, Reason} ->
            ?LOG_ERROR(#{what => py_handover_failed, reason => Reason}),
            _ = socket:close(Socket),
            ok
    end.

-spec tell(none | {pid(), py_handshake:token()}, pid(), py_handshake:info()) -> ok.
tell(none, _Handler, _Info) ->
    ok;
tell({Owner, Token}, Handler, Info) ->
    Owner ! {py_joined, Token, Handler, Info},
    ok.

%% Only the user's own processes reach the socket at all; the token tells them apart.
-spec token(host | context) -> py_handshake:token().
token(Kind) ->
    Random = binary:decode_unsigned(rand:bytes(16)),
    iolist_to_binary(io_lib:format("~ts-~32.16.0b", [Kind, Random])).
