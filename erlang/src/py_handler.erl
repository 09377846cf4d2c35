%% @doc One connection's process: the handler of a Python thread, of a context, or of a host's control channel.
%%
%% A special process (see `proc_lib' and `sys'): it waits for its socket and for messages at once, so it answers system messages
%% and survives stray ones. A thread's function runs right here, which costs no second process and lets the function call
%% back ({@link py_conversation}); a context's runs in a linked process, so that it can be killed alone. While a function runs, the handler
%% serves nobody else.
%%
%% A context's handler that ends between calls says by its exit reason, `normal' or `{shutdown, {unsent, _}}', that a request it was given
%% meanwhile has not been sent.
%%
%% It does not trap exits: a shutdown ends it at once, in the middle of a function too, and its socket closes with it.
-module(py_handler).

-export([start_link/0, give/2, request/4, let_go/2, interrupted/1, bye/1]).
-export_type([destination/0]).
-export([init/1]).
-export([system_continue/3, system_terminate/4, system_get_state/1, system_replace_state/2, system_code_change/4,
         format_status/2]).

-include_lib("kernel/include/logger.hrl").

-record(state, {
    parent :: pid(),
    debug :: [sys:dbg_opt()],
    role :: py_handshake:role(),
    conversation :: py_conversation:conversation(),
    %% The call of Python in progress, for whom and under which id, and those that wait for their turn.
    current = none :: none | {destination(), py_frame:id()},
    waiting = queue:new() :: queue:queue(request())
}).

%% Where an outcome goes: to the caller of a server's, which then hears `{py_done, Handler}' itself, or as `{Tag, Outcome}' to a process.
-type destination() :: {caller, gen_server:from(), Server :: pid()} | {message, pid() | reference(), Tag :: term()}.
-type request() :: {destination(), py_conversation:space(), Payload :: py_term:payload()}.

%% In the handshake, and for the connection to be handed over.
-define(PATIENCE, 5000).

%% For a function that interrupted code has waited for to end by itself.
-define(LET_GO_AFTER, 150).

%% In the dictionary of a context's handler: its activity, see {@link py_contexts}.
-define(ACTIVITY, '$py_activity').

-spec start_link() -> {ok, pid()}.
start_link() ->
    {ok, proc_lib:spawn_link(?MODULE, init, [self()])}.

%% @doc Hands a connection to a handler; the caller owns it until then.
-spec give(pid(), socket:socket()) -> ok | {error, term()}.
give(Handler, Socket) ->
    case socket:setopt(Socket, {otp, controlling_process}, Handler) of
        ok ->
            Handler ! {?MODULE, socket, Socket},
            ok;
        {error, Reason} ->
            {error, Reason}
    end.

%% @doc Has a context or a host do a call. A handler that ends does not answer, so whoever asks monitors it. Requests are done one
%% after the other.
-spec request(pid(), destination(), py_conversation:space(), py_term:payload()) -> ok.
request(Handler, Destination, Space, Payload) ->
    Handler ! {?MODULE, request, {Destination, Space, Payload}},
    ok.

%% @doc Has a context kill the function that runs in that process, if it is still at it: its Python thread does not wait for it any more.
-spec let_go(pid(), Runner :: pid()) -> ok.
let_go(Handler, Runner) ->
    Handler ! {?MODULE, let_go, Runner},
    ok.

%% @doc The Python code of a context has been interrupted: the function that it waited for is killed unless it ends soon.
-spec interrupted(pid()) -> ok.
interrupted(Handler) ->
    Handler ! {?MODULE, interrupted},
    ok.

%% @doc Has the handler take its leave: on a host's control channel, this asks the host to stop.
-spec bye(pid()) -> ok.
bye(Handler) ->
    Handler ! {?MODULE, bye},
    ok.

%% Start

-spec init(pid()) -> no_return().
init(Parent) ->
    receive
        {?MODULE, socket, Socket} ->
            Options = #{max_frame => py_settings:get(max_frame), poll => py_settings:get(poll)},
            handshake(Parent, py_channel:new(Socket, Options))
    after ?PATIENCE ->
        exit(normal)
    end.

-spec handshake(pid(), py_channel:channel()) -> no_return().
handshake(Parent, Channel) ->
    case py_channel:recv(Channel, ?PATIENCE) of
        {frame, {hello, _, Payload}, Channel1} ->
            case admit(py_handshake:hello(Payload)) of
                {ok, Role} -> welcome(Parent, Role, Channel1);
                {refused, Text} -> refuse(Text, Channel1)
            end;
        {frame, {Kind, _, _}, Channel1} ->
            refuse(<<"hello comes first, not ", (atom_to_binary(Kind))/binary>>, Channel1);
        {error, closed} ->
            exit(normal);
        {error, Reason} ->
            ?LOG_WARNING(#{what => py_handshake_failed, reason => Reason}),
            py_channel:close(Channel),
            exit(normal)
    end.

-spec admit({ok, py_handshake:role(), py_handshake:info()} | {refused, binary()}) ->
    {ok, py_handshake:role()} | {refused, binary()}.
admit({ok, Role, Info}) ->
    Activity = atomics:new(1, []),
    _ = put(?ACTIVITY, Activity),
    case py_coordinator:admit(Role, Info#{activity => Activity}) of
        ok -> {ok, Role};
        {refused, Text} -> {refused, Text}
    end;
admit({refused, Text}) ->
    {refused, Text}.

-spec refuse(binary(), py_channel:channel()) -> no_return().
refuse(Text, Channel) ->
    ?LOG_NOTICE(#{what => py_connection_refused, why => Text}),
    _ = py_channel:send(Channel, error, 0, py_handshake:refused(Text)),
    py_channel:close(Channel),
    exit(normal).

-spec welcome(pid(), py_handshake:role(), py_channel:channel()) -> no_return().
welcome(Parent, Role, Channel) ->
    MaxFrame = py_settings:get(max_frame),
    case py_channel:send(Channel, hello, 0, py_handshake:welcome(self(), MaxFrame)) of
        ok when Role =:= async ->
            py_async:run(Parent, Channel);
        ok ->
            Policy = case py_settings:get(create_atoms) of true -> create; false -> safe end,
            Conversation = py_conversation:new(Channel, #{max_frame => MaxFrame, policy => Policy}),
            loop(#state{parent = Parent, debug = sys:debug_options([]), role = Role, conversation = Conversation});
        {error, _} ->
            exit(normal)
    end.

%% Loop

-spec loop(#state{}) -> no_return().
loop(#state{conversation = Conversation} = State) ->
    case py_conversation:next(Conversation) of
        {frame, Frame, Conversation1} -> frame(Frame, debug({in, Frame}, State#state{conversation = Conversation1}));
        {wait, Handle, Conversation1} -> wait(Handle, State#state{conversation = Conversation1});
        {error, Reason} -> stop(Reason, State)
    end.

%% Waits for as long as the thread at the other end lives: its end is the end of its socket, which comes as a message of the socket.
-spec wait(reference(), #state{}) -> no_return().
wait(Handle, #state{parent = Parent} = State) ->
    receive
        {'$socket', _, select, Handle} ->
            loop(State);
        {'$socket', _, abort, {Handle, Reason}} ->
            stop(Reason, State);
        {?MODULE, request, Request} ->
            requested(Request, Handle, State);
        {?MODULE, let_go, _} ->
            %% That function has just ended.
            wait(Handle, State);
        {?MODULE, interrupted} ->
            wait(Handle, State);
        {?MODULE, bye} ->
            _ = py_channel:send(py_conversation:channel(State#state.conversation), bye, 0, <<>>),
            finish(normal, State);
        {system, From, Request} ->
            sys:handle_system_msg(Request, From, Parent, ?MODULE, State#state.debug, {Handle, State});
        {'EXIT', Parent, Reason} ->
            %% Only when a registered function has made this process trap exits.
            stop({shutdown, Reason}, State);
        Stray ->
            ?LOG_WARNING(#{what => py_stray_message, handler => self(), message => Stray}),
            wait(Handle, State)
    end.

-spec frame(py_frame:frame(), #state{}) -> no_return().
frame({Kind, _, _} = Frame, #state{conversation = Conversation} = State) when Kind =:= call; Kind =:= cast ->
    case serve(Frame, Conversation, State#state.role) of
        {ok, Conversation1} -> loop(State#state{conversation = Conversation1});
        {error, Reason} -> stop(Reason, State)
    end;
frame({Kind, Id, Payload}, #state{current = {Destination, Id}} = State) when Kind =:= ok; Kind =:= error ->
    deliver({Kind, Payload}, Destination),
    proceed(State#state{current = none});
frame({bye, _, _}, State) ->
    stop(closed, State);
frame({cancel, _, _}, State) ->
    %% Reserved. The call it names is over, or this frame would not have been read yet.
    loop(State);
frame({Kind, Id, _}, State) ->
    stop({unexpected_frame, Kind, Id}, State).

%% A thread's functions run right here. A context outlives what it is interrupted in, so its functions run in a process of their own, one
%% at a time, which has the conversation meanwhile.
-spec serve({call | cast, py_frame:id(), binary()}, py_conversation:conversation(), py_handshake:role()) ->
    {ok, py_conversation:conversation()} | {error, term()}.
serve(Frame, Conversation, {context, _}) ->
    Handler = self(),
    {Pid, Monitor} = spawn_opt(fun() -> serve_for(Handler, Frame, Conversation) end, [link, monitor]),
    ok = atomics:add(get(?ACTIVITY), 1, 1),
    Served = served(Pid, Monitor, Conversation),
    ok = atomics:add(get(?ACTIVITY), 1, 1),
    Served;
serve(Frame, Conversation, _Role) ->
    py_conversation:serve(Frame, Conversation).

-spec serve_for(pid(), {call | cast, py_frame:id(), binary()}, py_conversation:conversation()) -> ok.
serve_for(Handler, Frame, Conversation) ->
    Served = py_conversation:serve(Frame, Conversation),
    unlink(Handler),
    Handler ! {?MODULE, served, self(), Served},
    ok.

%% Ends with the process: by its result, by our killing it, or by its death, which is ours too, as it is linked.
-spec served(pid(), reference(), py_conversation:conversation()) ->
    {ok, py_conversation:conversation()} | {error, term()}.
served(Pid, Monitor, Conversation) ->
    receive
        {?MODULE, served, Pid, Served} ->
            true = demonitor(Monitor, [flush]),
            Served;
        {?MODULE, interrupted} ->
            _ = erlang:send_after(?LET_GO_AFTER, self(), {?MODULE, let_go, Pid}),
            served(Pid, Monitor, Conversation);
        {?MODULE, let_go, Pid} ->
            unlink(Pid),
            exit(Pid, kill),
            receive {'DOWN', Monitor, process, Pid, _} -> ok end,
            %% It may have answered in that very moment.
            receive {?MODULE, served, Pid, Served} -> Served after 0 -> {ok, Conversation} end;
        {'DOWN', Monitor, process, Pid, Reason} ->
            {error, {function_died, Reason}}
    end.

-spec requested(request(), reference(), #state{}) -> no_return().
requested({Destination, _, _}, Handle, #state{role = thread} = State) ->
    %% Its thread does not wait for us.
    deliver({down, not_a_context}, Destination),
    wait(Handle, State);
requested(Request, _Handle, #state{current = none, conversation = Conversation} = State) ->
    perform(Request, State#state{conversation = py_conversation:cancel(Conversation)});
requested(Request, Handle, #state{waiting = Waiting} = State) ->
    wait(Handle, State#state{waiting = queue:in(Request, Waiting)}).

-spec proceed(#state{}) -> no_return().
proceed(#state{waiting = Waiting} = State) ->
    case queue:out(Waiting) of
        {{value, Request}, Rest} -> perform(Request, State#state{waiting = Rest});
        {empty, _} -> loop(State)
    end.

-spec perform(request(), #state{}) -> no_return().
perform({Destination, Space, Payload}, #state{conversation = Conversation} = State) ->
    case py_conversation:request(Payload, py_conversation:set_space(Space, Conversation)) of
        {ok, Id, Conversation1} ->
            loop(debug({out, {call, Id, Payload}}, State#state{current = {Destination, Id}, conversation = Conversation1}));
        {error, Reason} ->
            stop(Reason, State)
    end.

-spec deliver(py_conversation:outcome(), destination()) -> ok.
deliver(Outcome, {caller, From, Server}) ->
    gen_server:reply(From, Outcome),
    Server ! {py_done, self()},
    ok;
deliver(Outcome, {message, Pid, Tag}) ->
    Pid ! {Tag, Outcome},
    ok.

%% End of file between frames is how a thread takes its leave; anything else is worth a line in the log.
-spec stop(term(), #state{}) -> no_return().
stop({shutdown, _} = Reason, State) ->
    finish(Reason, State);
stop(closed, #state{current = none} = State) ->
    finish(normal, State);
stop(Reason, #state{current = none, role = thread} = State) when Reason =:= econnreset; Reason =:= epipe ->
    %% A thread that has given up on a call: it closed with our frame unread, or before it was sent.
    finish(normal, State);
stop(Reason, #state{current = none, role = {context, _}} = State) ->
    ?LOG_NOTICE(#{what => py_connection_lost, handler => self(), reason => Reason}),
    finish({shutdown, {unsent, Reason}}, State);
stop(Reason, State) when is_atom(Reason) ->
    ?LOG_NOTICE(#{what => py_connection_lost, handler => self(), reason => Reason}),
    finish({shutdown, Reason}, State);
stop(Reason, State) ->
    ?LOG_WARNING(#{what => py_protocol_error, handler => self(), reason => Reason}),
    finish({shutdown, Reason}, State).

-spec finish(term(), #state{}) -> no_return().
finish(Reason, #state{conversation = Conversation}) ->
    py_channel:close(py_conversation:channel(Conversation)),
    exit(Reason).

-spec debug(term(), #state{}) -> #state{}.
debug(_Event, #state{debug = []} = State) ->
    State;
debug(Event, #state{debug = Debug} = State) ->
    State#state{debug = sys:handle_debug(Debug, fun write_event/3, self(), Event)}.

-spec write_event(io:device(), term(), term()) -> ok.
write_event(Device, {Direction, {Kind, Id, Payload}}, Name) ->
    io:format(Device, "*DBG* ~p ~ts ~ts ~b, ~b bytes~n", [Name, Direction, Kind, Id, iolist_size(Payload)]).

%% System messages

-type misc() :: {reference(), #state{}}.

%% @private
-spec system_continue(pid(), [sys:dbg_opt()], misc()) -> no_return().
system_continue(_Parent, Debug, {Handle, State}) ->
    wait(Handle, State#state{debug = Debug}).

%% @private
-spec system_terminate(term(), pid(), [sys:dbg_opt()], misc()) -> no_return().
system_terminate(Reason, _Parent, _Debug, {_Handle, State}) ->
    finish(Reason, State).

%% @private
-spec system_get_state(misc()) -> {ok, #state{}}.
system_get_state({_Handle, State}) ->
    {ok, State}.

%% @private
-spec system_replace_state(fun((#state{}) -> #state{}), misc()) -> {ok, #state{}, misc()}.
system_replace_state(Replace, {Handle, State}) ->
    State1 = Replace(State),
    {ok, State1, {Handle, State1}}.

%% @private
-spec system_code_change(misc(), module(), term(), term()) -> {ok, misc()}.
system_code_change(Misc, _Module, _OldVersion, _Extra) ->
    {ok, Misc}.

%% @private
-spec format_status(normal | terminate, [term()]) -> [term()].
format_status(_When, [_Dictionary, SysState, Parent, _Debug, {_Handle, State}]) ->
    [
        {header, "Status for a handler of erlang_python"},
        {data, [
            {"Status", SysState},
            {"Parent", Parent},
            {"Role", role_name(State#state.role)},
            {"Calls served", py_conversation:calls(State#state.conversation)},
            {"Busy", State#state.current =/= none},
            {"Waiting", queue:len(State#state.waiting)}
        ]}
    ].

%% The name alone: a token is a secret until it is used.
-spec role_name(py_handshake:role()) -> thread | context | host.
role_name({Name, _Token}) -> Name;
role_name(thread) -> thread.
