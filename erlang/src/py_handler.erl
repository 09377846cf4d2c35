%% @doc One connection's process: the handler of a Python thread, of a context, or of a host's
%% control channel.
%%
%% A special process (see `proc_lib' and `sys'): it waits for its socket and for messages at once,
%% so it answers system messages and survives stray ones. A thread's handler runs the functions
%% itself and meanwhile serves nobody else; a shutdown ends it at once, functions included. A
%% context's handler runs them in processes of their own (runners), outlives each of them, and traps
%% exits for that.
%%
%% A context's handler ending with `normal' or `{shutdown, {unsent, _}}' has not sent its request.
-module(py_handler).

-export([start_link/0, give/2, request/4, interrupted/1, bye/1]).
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
    %% Requests waiting for their turn.
    waiting = queue:new() :: queue:queue(request())
}).

%% Where an outcome goes: to the caller of a server's, which then hears `{py_done, Handler}' itself,
%% or as `{Tag, Outcome}' to a process.
-type destination() :: {caller, gen_server:from(), Server :: pid()} | {message, pid() | reference(), Tag :: term()}.
-type request() :: {destination(), py_conversation:space(), Payload :: py_term:payload()}.

%% Any process may send a message of this form; the parts have to be what they should.
-define(IS_DESTINATION(D),
        (element(1, D) =:= caller andalso is_pid(element(1, element(2, D))) andalso is_pid(element(3, D))
         orelse element(1, D) =:= message andalso (is_pid(element(2, D)) orelse is_reference(element(2, D))) andalso tuple_size(D) =:= 3)).
-define(IS_SPACE(Space), (Space =:= none orelse is_pid(Space))).
-define(IS_PAYLOAD(Payload), (is_binary(Payload) orelse is_list(Payload))).

%% In the handshake, and for the connection to be handed over.
-define(PATIENCE, 5000).

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

%% @doc Has a context or a host do a call. A handler that ends does not answer, so whoever asks
%% monitors it. Requests are done one after the other.
-spec request(pid(), destination(), py_conversation:space(), py_term:payload()) -> ok.
request(Handler, Destination, Space, Payload) ->
    Handler ! {?MODULE, request, {Destination, Space, Payload}},
    ok.

%% @doc Tells a context's handler of an interrupt of its Python thread, down to the node's own call.
%% The handler kills the functions of that call unless they end soon.
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
                {ok, Role, Info} -> welcome(Parent, Role, Info, Channel1);
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
    {ok, py_handshake:role(), py_handshake:info()} | {refused, binary()}.
admit({ok, Role, Info}) ->
    Told = told(Role, Info),
    case py_coordinator:admit(Role, Told) of
        ok -> {ok, Role, Told};
        {refused, Text} -> {refused, Text}
    end;
admit({refused, Text}) ->
    {refused, Text}.

%% A context tells its activity by a counter: odd while its Python thread waits for a function, and
%% equal as long as no function or nested call begins or ends.
-spec told(py_handshake:role(), py_handshake:info()) -> py_handshake:info().
told({context, _}, Info) -> Info#{activity => atomics:new(1, [])};
told(_Role, Info) -> Info.

-spec refuse(binary(), py_channel:channel()) -> no_return().
refuse(Text, Channel) ->
    ?LOG_NOTICE(#{what => py_connection_refused, why => Text}),
    _ = py_channel:send(Channel, error, 0, py_handshake:refused(Text)),
    py_channel:close(Channel),
    exit(normal).

-spec welcome(pid(), py_handshake:role(), py_handshake:info(), py_channel:channel()) -> no_return().
welcome(Parent, Role, Info, Channel) ->
    MaxFrame = py_settings:get(max_frame),
    case py_channel:send(Channel, hello, 0, py_handshake:welcome(self(), MaxFrame)) of
        ok when Role =:= async ->
            py_async:run(Parent, Channel);
        ok ->
            Policy = case py_settings:get(create_atoms) of true -> create; false -> safe end,
            Options = #{max_frame => MaxFrame, policy => Policy},
            loop(#state{parent = Parent, debug = sys:debug_options([]), role = Role, conversation = conversation(Role, Info, Channel, Options)});
        {error, _} ->
            exit(normal)
    end.

-spec conversation(py_handshake:role(), py_handshake:info(), py_channel:channel(), map()) -> py_conversation:conversation().
conversation({context, _}, #{activity := Activity}, Channel, Options) ->
    %% A context outlives its functions.
    process_flag(trap_exit, true),
    py_conversation:new(Channel, Options#{activity => Activity});
conversation(_Role, _Info, Channel, Options) ->
    _ = [process_flag(Flag, Value) || {Flag, Value} <- py_function:limits()],
    py_conversation:new(Channel, Options).

%% Loop

-spec loop(#state{}) -> no_return().
loop(#state{conversation = Conversation} = State) ->
    case py_conversation:next(Conversation) of
        {serve, Frame, Conversation1} -> serve(Frame, State#state{conversation = Conversation1});
        {tell, {request, Destination}, Outcome, Conversation1} -> done(Outcome, Destination, State#state{conversation = Conversation1});
        {tell, Runner, Outcome, Conversation1} -> told(Runner, Outcome, State#state{conversation = Conversation1});
        {wait, Handle, Conversation1} -> wait(Handle, State#state{conversation = Conversation1});
        {stop, Reason, Conversation1} -> stop(Reason, State#state{conversation = Conversation1})
    end.

-spec serve(py_frame:frame(), #state{}) -> no_return().
serve({Kind, _, Payload} = Frame, #state{conversation = Conversation} = State) ->
    State1 = debug({in, {Kind, Payload}}, State),
    loop(State1#state{conversation = py_conversation:serve(Frame, Conversation)}).

-spec told(py_conversation:for(), py_conversation:outcome(), #state{}) -> no_return().
told(Runner, Outcome, State) ->
    ok = py_conversation:tell(Runner, Outcome),
    loop(State).

%% Waits for the socket or a runner. The end of the Python thread arrives as a message of the
%% socket, that of a runner as one of its monitor.
-spec wait(none | reference(), #state{}) -> no_return().
wait(Handle, #state{parent = Parent, conversation = Conversation} = State) ->
    receive
        {'$socket', _, select, Handle} ->
            loop(State#state{conversation = py_conversation:ready(Conversation)});
        {'$socket', _, abort, {Handle, Reason}} ->
            loop(State#state{conversation = py_conversation:break(Reason, Conversation)});
        {py_conversation, moved, Runner, Move} ->
            loop(State#state{conversation = py_conversation:moved(Runner, Move, Conversation)});
        {?MODULE, request, {Destination, Space, Payload} = Request} when ?IS_DESTINATION(Destination), ?IS_SPACE(Space), ?IS_PAYLOAD(Payload) ->
            requested(Request, Handle, State);
        {?MODULE, interrupted} ->
            loop(State#state{conversation = py_conversation:interrupted(Conversation)});
        {py_conversation, interrupt_answered, Id, Hit} ->
            loop(State#state{conversation = py_conversation:interrupt_answered(Id, Hit, Conversation)});
        {?MODULE, bye} ->
            _ = py_channel:send(py_conversation:channel(Conversation), bye, 0, <<>>),
            finish(normal, State);
        {system, From, Request} ->
            sys:handle_system_msg(Request, From, Parent, ?MODULE, State#state.debug, {Handle, State});
        {'EXIT', Pid, Reason} ->
            exited(Pid, Reason, Handle, State);
        {'DOWN', Monitor, process, Runner, Reason} = Down ->
            case py_conversation:ended(Monitor, Runner, Reason, Conversation) of
                {true, Conversation1} -> loop(State#state{conversation = Conversation1});
                false -> stray(Down, Handle, State)
            end;
        Stray ->
            stray(Stray, Handle, State)
    after py_conversation:wait_time(Conversation) ->
        loop(State#state{conversation = py_conversation:expire(Conversation)})
    end.

%% Ignores a runner's exit: its monitor tells. py_handler_sup:dismiss/2 ends a context by an exit
%% signal; a thread's handler gets these messages only after a function has made it trap exits.
-spec exited(pid(), term(), none | reference(), #state{}) -> no_return().
exited(Parent, Reason, _Handle, #state{parent = Parent} = State) ->
    stop({shutdown, Reason}, State);
exited(Pid, Reason, Handle, #state{role = {context, _}, conversation = Conversation} = State) ->
    case {py_conversation:is_runner(Pid, Conversation), Reason} of
        {false, {shutdown, _}} -> stop(Reason, State);
        {true, _} -> wait(Handle, State);
        {false, _} -> stray({'EXIT', Pid, Reason}, Handle, State)
    end;
exited(Pid, Reason, Handle, State) ->
    stray({'EXIT', Pid, Reason}, Handle, State).

-spec stray(term(), none | reference(), #state{}) -> no_return().
stray(Message, Handle, State) ->
    ?LOG_WARNING(#{what => py_stray_message, handler => self(), message => Message}),
    wait(Handle, State).

-spec requested(request(), none | reference(), #state{}) -> no_return().
requested({Destination, _, _}, Handle, #state{role = thread} = State) ->
    %% Its thread does not wait for us.
    deliver({down, not_a_context}, Destination),
    wait(Handle, State);
requested(Request, Handle, #state{conversation = Conversation, waiting = Waiting} = State) ->
    case py_conversation:is_idle(Conversation) of
        true -> perform(Request, State);
        false -> wait(Handle, State#state{waiting = queue:in(Request, Waiting)})
    end.

-spec perform(request(), #state{}) -> no_return().
perform({Destination, Space, Payload}, #state{conversation = Conversation} = State) ->
    Conversation1 = py_conversation:request(Destination, Space, Payload, Conversation),
    loop(debug({out, {call, Payload}}, State#state{conversation = Conversation1})).

-spec done(py_conversation:outcome(), destination(), #state{}) -> no_return().
done(Outcome, Destination, #state{waiting = Waiting} = State) ->
    deliver(Outcome, Destination),
    case queue:out(Waiting) of
        {{value, Request}, Rest} -> perform(Request, State#state{waiting = Rest});
        {empty, _} -> loop(State)
    end.

-spec deliver(py_conversation:outcome(), destination()) -> ok.
deliver(Outcome, {caller, From, Server}) ->
    gen_server:reply(From, Outcome),
    Server ! {py_done, self()},
    ok;
deliver(Outcome, {message, Pid, Tag}) ->
    Pid ! {Tag, Outcome},
    ok.

%% End of file between frames is how a thread takes its leave; anything else is worth a line in the
%% log.
-spec stop(term(), #state{}) -> no_return().
stop(Reason, #state{conversation = Conversation} = State) ->
    stop(Reason, py_conversation:is_idle(Conversation), State).

-spec stop(term(), boolean(), #state{}) -> no_return().
stop({shutdown, _} = Reason, _IsIdle, State) ->
    finish(Reason, State);
stop(closed, true, State) ->
    finish(normal, State);
stop(Reason, true, #state{role = thread} = State) when Reason =:= econnreset; Reason =:= epipe ->
    %% A thread that has given up on a call: it closed with our frame unread, or before it was sent.
    finish(normal, State);
stop(Reason, true, #state{role = {context, _}} = State) ->
    ?LOG_NOTICE(#{what => py_connection_lost, handler => self(), reason => Reason}),
    finish({shutdown, {unsent, Reason}}, State);
stop(Reason, _IsIdle, State) when is_atom(Reason) ->
    ?LOG_NOTICE(#{what => py_connection_lost, handler => self(), reason => Reason}),
    finish({shutdown, Reason}, State);
stop(Reason, _IsIdle, State) ->
    ?LOG_WARNING(#{what => py_protocol_error, handler => self(), reason => Reason}),
    finish({shutdown, Reason}, State).

%% The link does not end a runner if the reason is normal, or if the function traps exits.
-spec finish(term(), #state{}) -> no_return().
finish(Reason, #state{conversation = Conversation}) ->
    lists:foreach(fun(Runner) -> py_handler_sup:dismiss(Runner, py_result:ended(Reason)) end, py_conversation:runners(Conversation)),
    py_channel:close(py_conversation:channel(Conversation)),
    exit(Reason).

-spec debug(term(), #state{}) -> #state{}.
debug(_Event, #state{debug = []} = State) ->
    State;
debug(Event, #state{debug = Debug} = State) ->
    State#state{debug = sys:handle_debug(Debug, fun write_event/3, self(), Event)}.

-spec write_event(io:device(), term(), term()) -> ok.
write_event(Device, {Direction, {Kind, Payload}}, Name) ->
    io:format(Device, "*DBG* ~p ~ts ~ts, ~b bytes~n", [Name, Direction, Kind, iolist_size(Payload)]).

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
            {"Busy", not py_conversation:is_idle(State#state.conversation)},
            {"Waiting", queue:len(State#state.waiting)}
        ]}
    ].

%% The name alone: a token is a secret until it is used.
-spec role_name(py_handshake:role()) -> thread | context | host.
role_name({Name, _Token}) -> Name;
role_name(thread) -> thread.
