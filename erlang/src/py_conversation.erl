%% @doc Calls over a channel, either way, nested like a stack (PROTOCOL.md, section 4).
%% {@link py_call_stack} decides, this module acts.
%%
%% The handler keeps the conversation. It runs a thread's function itself and meanwhile keeps the
%% conversation in its process dictionary, for a `py:call' made by the function. A context's
%% function runs in a process of its own, the runner, and asks the handler by message. A runner can
%% be killed at any moment: it holds no state of the channel.
-module(py_conversation).

-export([new/2, channel/1, calls/1, is_idle/1, runners/1]).
-export([next/1, ready/1, break/2, serve/2, request/4, moved/3, ended/4, is_runner/2, tell/2]).
-export([interrupted/1, interrupt_answered/3, wait_time/1, expire/1]).
-export([inside/0, nested/2]).
-export_type([conversation/0, outcome/0, space/0, for/0]).

-record(conversation, {
    channel :: py_channel:channel(),
    stack :: py_call_stack:stack(),
    kind :: inline | apart,
    max_frame :: pos_integer(),
    policy :: py_term:policy(),
    calls = 0 :: non_neg_integer(),
    space = none :: space(),
    %% Apart: the moves of the stack. Inline: 1 while an abandoned call is outstanding.
    activity :: atomics:atomics_ref(),
    %% Runners and their monitors.
    monitors = #{} :: #{pid() => reference()},
    %% A frame read while a function ran.
    held = none :: none | {held, py_frame:frame()},
    %% The handle of the awaited socket message.
    handle = none :: none | reference(),
    %% A large frame has passed since the last collection.
    large = false :: boolean()
}).

%% A runner keeps this in its dictionary.
-record(runner, {handler :: pid(), space :: space()}).

-opaque conversation() :: #conversation{}.

%% What became of a call of Python: the payload of its ok or error frame, or neither.
-type outcome() :: py_call_stack:outcome().

%% Whose namespace Python code runs in: that of a process of the node, or the Python program's own
%% `__main__'.
-type space() :: none | pid().

%% Who asked for a call of Python: the handler, a runner, or a function inline.
-type for() :: {request, term()} | {runner, reference()} | inline.

-define(KEY, '$py_conversation').

%% The least size of a large payload, and the idle time before a collection, in ms.
-define(LARGE, 16#1000).
-define(IDLE, 1000).

%% @doc A conversation; with `activity' a context's, which runs functions apart.
-spec new(py_channel:channel(), #{max_frame := pos_integer(), policy := py_term:policy(), activity => atomics:atomics_ref()}) ->
    conversation().
new(Channel, #{max_frame := MaxFrame, policy := Policy} = Options) ->
    {Kind, Activity} = case Options of #{activity := Given} -> {apart, Given}; #{} -> {inline, atomics:new(1, [])} end,
    Stack = py_call_stack:new(Kind, py_settings:get(max_nesting)),
    #conversation{channel = Channel, stack = Stack, kind = Kind, max_frame = MaxFrame, policy = Policy, activity = Activity}.

-spec channel(conversation()) -> py_channel:channel().
channel(#conversation{channel = Channel}) ->
    Channel.

%% @doc How many calls of Python's have been served.
-spec calls(conversation()) -> non_neg_integer().
calls(#conversation{calls = Calls}) ->
    Calls.

%% @doc `true' if neither side waits for an answer.
-spec is_idle(conversation()) -> boolean().
is_idle(#conversation{stack = Stack}) ->
    py_call_stack:is_empty(Stack).

%% @doc The runners.
-spec runners(conversation()) -> [pid()].
runners(#conversation{monitors = Monitors}) ->
    maps:keys(Monitors).

%% Next actions

-type next() ::
    {serve, py_frame:frame(), conversation()}
    | {tell, for(), outcome(), conversation()}
    | {wait, none | reference(), conversation()}
    | {stop, term(), conversation()}.

%% @doc Does everything possible at once. The caller then serves a frame, tells an outcome, or waits
%% for a message: `{'$socket', _, select, Handle}', `abort' in its place, or one of a runner.
-spec next(conversation()) -> next().
next(#conversation{stack = Stack} = Conversation) ->
    case py_call_stack:step(Stack) of
        {read, Stack1} ->
            read(publish(Conversation#conversation{stack = Stack1}));
        {look, Stack1} ->
            look(Conversation#conversation{stack = Stack1});
        {wait, Stack1} ->
            {wait, none, publish(Conversation#conversation{stack = Stack1})};
        {tell, For, Outcome, Stack1} ->
            {tell, For, Outcome, publish(Conversation#conversation{stack = Stack1})};
        {answer, Id, Kind, Payload, Stack1} ->
            next(send(Kind, Id, Payload, Conversation#conversation{stack = Stack1}));
        {call, For, Payload, Timeout, Stack1} ->
            {Id, Stack2} = py_call_stack:call(For, deadline(Timeout), Stack1),
            next(send(call, Id, Payload, Conversation#conversation{stack = Stack2}));
        {stop, Reason} ->
            {stop, Reason, Conversation}
    end.

-spec read(conversation()) -> next().
read(#conversation{handle = Handle} = Conversation) when Handle =/= none ->
    {wait, Handle, Conversation};
read(#conversation{held = {held, Frame}} = Conversation) ->
    use(Frame, Conversation#conversation{held = none});
read(#conversation{channel = Channel} = Conversation) ->
    case py_channel:next(Channel) of
        {frame, Frame, Channel1} -> use(Frame, Conversation#conversation{channel = Channel1});
        {wait, Handle, Channel1} -> {wait, Handle, Conversation#conversation{channel = Channel1, handle = Handle}};
        {error, Reason} -> next(break(Reason, Conversation))
    end.

-spec use(py_frame:frame(), conversation()) -> next().
use({Kind, _, _} = Frame, Conversation) when Kind =:= call; Kind =:= cast -> {serve, Frame, Conversation};
use(Frame, Conversation) -> next(received(Frame, Conversation)).

%% A frame read here waits until the function has ended.
-spec look(conversation()) -> next().
look(#conversation{handle = none, held = none, channel = Channel} = Conversation) ->
    case py_channel:next(Channel) of
        {frame, Frame, Channel1} -> next(given_up(Conversation#conversation{channel = Channel1, held = {held, Frame}}));
        {wait, Handle, Channel1} -> {wait, Handle, publish(Conversation#conversation{channel = Channel1, handle = Handle})};
        {error, Reason} -> next(break(Reason, given_up(Conversation)))
    end;
look(#conversation{handle = none} = Conversation) ->
    next(given_up(Conversation));
look(#conversation{handle = Handle} = Conversation) ->
    {wait, Handle, publish(Conversation)}.

-spec given_up(conversation()) -> conversation().
given_up(#conversation{stack = Stack} = Conversation) ->
    {Effects, Stack1} = py_call_stack:given_up(Stack),
    perform(Effects, Conversation#conversation{stack = Stack1}).

-spec received(py_frame:frame(), conversation()) -> conversation().
received({Kind, Id, Payload}, #conversation{stack = Stack} = Conversation) when Kind =:= ok; Kind =:= error ->
    case py_call_stack:reply(Id, {Kind, Payload}, Stack) of
        {ok, Effects, Stack1} -> perform(Effects, note(Payload, Conversation#conversation{stack = Stack1}));
        error -> break({unexpected_frame, Kind, Id}, Conversation)
    end;
received({bye, _, _}, Conversation) ->
    break(closed, Conversation);
received({cancel, _, _}, Conversation) ->
    %% Reserved. The call it names is over, or this frame would not have been read yet.
    Conversation;
received({Kind, Id, _}, Conversation) ->
    break({unexpected_frame, Kind, Id}, Conversation).

-spec send(call | ok | error, py_frame:id(), py_term:payload(), conversation()) -> conversation().
send(Kind, Id, Payload, #conversation{channel = Channel} = Conversation) ->
    case py_channel:send(Channel, Kind, Id, Payload) of
        ok -> note(Payload, Conversation);
        {error, Reason} -> break(Reason, Conversation)
    end.

%% @doc Takes the `select' message of the socket.
-spec ready(conversation()) -> conversation().
ready(Conversation) ->
    Conversation#conversation{handle = none}.

%% @doc Gives the channel up.
-spec break(term(), conversation()) -> conversation().
break(Reason, #conversation{channel = Channel, stack = Stack} = Conversation) ->
    ok = py_channel:close(Channel),
    Conversation#conversation{handle = none, stack = py_call_stack:broken(Reason, Stack)}.

-spec publish(conversation()) -> conversation().
publish(#conversation{kind = inline} = Conversation) ->
    Conversation;
publish(#conversation{activity = Activity, stack = Stack} = Conversation) ->
    ok = atomics:put(Activity, 1, py_call_stack:moves(Stack)),
    Conversation.

%% Calls of functions

%% @doc Runs the function of a call or cast frame, here or in a runner.
-spec serve(py_frame:frame(), conversation()) -> conversation().
serve({Kind, Id, Payload}, #conversation{stack = Stack, calls = Calls, kind = Where} = Conversation) ->
    Name = case Kind of call -> Id; cast -> cast end,
    Counted = note(Payload, Conversation#conversation{calls = Calls + 1}),
    case Where of
        inline -> run_here(Name, Payload, Counted#conversation{stack = py_call_stack:serve(Name, self(), Stack)});
        apart -> start_runner(Name, Payload, Counted)
    end.

-spec run_here(py_frame:id() | cast, binary(), conversation()) -> conversation().
run_here(cast, Payload, #conversation{policy = Policy, stack = Stack} = Conversation) ->
    %% No Python thread waits for it, so it finds none to call back.
    Conversation#conversation{stack = py_call_stack:move(self(), cast(Payload, Policy), Stack)};
run_here(_Id, Payload, #conversation{policy = Policy, max_frame = MaxFrame} = Conversation) ->
    put(?KEY, Conversation),
    Result = py_function:perform(Payload, Policy),
    #conversation{stack = Stack} = Conversation1 = take_back(erase(?KEY), Conversation),
    {Kind, Answer} = py_function:answer(Result, MaxFrame),
    Conversation1#conversation{stack = py_call_stack:move(self(), {answer, Kind, Answer}, Stack)}.

%% A function may clear its process dictionary, with the conversation in it. The one of before
%% serves as well, unless an abandoned call is outstanding: its reply would be taken for another
%% one.
-spec take_back(undefined | conversation(), conversation()) -> conversation().
take_back(#conversation{} = Kept, _Before) ->
    Kept;
take_back(_Erased, #conversation{activity = Outstanding} = Before) ->
    case atomics:get(Outstanding, 1) of
        0 -> Before;
        1 -> break(process_dictionary_erased, Before)
    end.

-spec cast(binary(), py_term:policy()) -> py_call_stack:move().
cast(Payload, Policy) ->
    ok = py_function:cast(Payload, Policy),
    {answer, ok, <<>>}.

%% The link ends the runner with the handler. The monitor tells of its end even if the function
%% unlinks.
-spec start_runner(py_frame:id() | cast, binary(), conversation()) -> conversation().
start_runner(Name, Payload, #conversation{policy = Policy, max_frame = MaxFrame, space = Space, monitors = Monitors, stack = Stack} = Conversation) ->
    Handler = self(),
    Run =
        case Name of
            cast -> fun() -> cast(Payload, Policy) end;
            _ -> fun() -> run_apart(Handler, Space, Payload, Policy, MaxFrame) end
        end,
    {Runner, Monitor} = spawn_opt(fun() -> runner(Handler, Run) end, [link, monitor | py_function:limits()]),
    Conversation#conversation{monitors = Monitors#{Runner => Monitor}, stack = py_call_stack:serve(Name, Runner, Stack)}.

-spec runner(pid(), fun(() -> py_call_stack:move())) -> ok.
runner(Handler, Run) ->
    Move = Run(),
    true = unlink(Handler),
    Handler ! {?MODULE, moved, self(), Move},
    ok.

-spec run_apart(pid(), space(), binary(), py_term:policy(), pos_integer()) -> py_call_stack:move().
run_apart(Handler, Space, Payload, Policy, MaxFrame) ->
    put(?KEY, #runner{handler = Handler, space = Space}),
    {Kind, Answer} = py_function:answer(py_function:perform(Payload, Policy), MaxFrame),
    {answer, Kind, Answer}.

%% @doc Takes the message `{py_conversation, moved, Runner, Move}' of a runner.
-spec moved(pid(), py_call_stack:move(), conversation()) -> conversation().
moved(Runner, {call, _, _, _} = Move, #conversation{stack = Stack} = Conversation) ->
    Conversation#conversation{stack = py_call_stack:move(Runner, Move, Stack)};
moved(Runner, Move, #conversation{stack = Stack, monitors = Monitors} = Conversation) ->
    case maps:take(Runner, Monitors) of
        {Monitor, Rest} ->
            true = demonitor(Monitor, [flush]),
            Conversation#conversation{stack = py_call_stack:move(Runner, Move, Stack), monitors = Rest};
        error ->
            Conversation
    end.

%% @doc Takes the message `{'DOWN', Monitor, process, Runner, Reason}'; `false' if it is no
%% runner's. Its death fails the call, as an exit in the function does.
-spec ended(reference(), pid(), term(), conversation()) -> {true, conversation()} | false.
ended(Monitor, Runner, Reason, #conversation{stack = Stack, monitors = Monitors, max_frame = MaxFrame} = Conversation) ->
    case Monitors of
        #{Runner := Monitor} ->
            forget_exit(Runner),
            {Kind, Answer} = py_function:answer({error, py_failure:raised(exit, Reason, [])}, MaxFrame),
            Stack1 = py_call_stack:move(Runner, {answer, Kind, Answer}, Stack),
            {true, Conversation#conversation{stack = Stack1, monitors = maps:remove(Runner, Monitors)}};
        #{} ->
            false
    end.

%% The link sends a message too. After unlink/1 it has come, or never will.
-spec forget_exit(pid()) -> ok.
forget_exit(Runner) ->
    true = unlink(Runner),
    receive {'EXIT', Runner, _} -> ok after 0 -> ok end.

%% @doc `true' if the process is a runner.
-spec is_runner(pid(), conversation()) -> boolean().
is_runner(Pid, #conversation{monitors = Monitors}) ->
    is_map_key(Pid, Monitors).

%% Calls of Python

%% @doc Calls Python for the handler itself; the stack is empty. It stays so if the call cannot be
%% sent.
-spec request(Tag :: term(), space(), py_term:payload(), conversation()) -> conversation().
request(Tag, Space, Payload, #conversation{stack = Stack} = Conversation) ->
    #conversation{channel = Channel} = Ready = cancel(Conversation),
    {Id, Stack1} = py_call_stack:call({request, Tag}, infinity, Stack),
    case py_channel:send(Channel, call, Id, Payload) of
        ok -> note(Payload, Ready#conversation{space = Space, stack = Stack1});
        {error, Reason} -> break(Reason, Ready)
    end.

%% @doc The namespace in which the Python code runs that called the function this process runs;
%% `false' when it runs none.
-spec inside() -> {true, space()} | false.
inside() ->
    case get(?KEY) of
        #runner{space = Space} -> {true, Space};
        #conversation{space = Space} -> {true, Space};
        undefined -> false
    end.

%% @doc Calls the Python thread waiting for the function of this process, and serves its calls
%% meanwhile. Messages for the function stay in its mailbox.
-spec nested(py_term:payload(), timeout()) -> outcome().
nested(Payload, Timeout) ->
    case get(?KEY) of
        #runner{handler = Handler} ->
            ask(Handler, Payload, Timeout);
        #conversation{stack = Stack} = Conversation ->
            _ = erase(?KEY),
            Asked = Conversation#conversation{stack = py_call_stack:move(self(), {call, inline, Payload, Timeout}, Stack)},
            {Outcome, #conversation{stack = Stack1, activity = Outstanding} = Conversation1} = await(Asked),
            ok = atomics:put(Outstanding, 1, case py_call_stack:step(Stack1) of {wait, _} -> 0; _ -> 1 end),
            put(?KEY, Conversation1),
            Outcome
    end.

%% The handler tells each outcome, a timeout included; its death ends the wait too.
-spec ask(pid(), py_term:payload(), timeout()) -> outcome().
ask(Handler, Payload, Timeout) ->
    Alias = monitor(process, Handler, [{alias, reply_demonitor}]),
    Handler ! {?MODULE, moved, self(), {call, {runner, Alias}, Payload, Timeout}},
    receive
        {Alias, Outcome} -> Outcome;
        {'DOWN', Alias, process, _, Reason} -> {down, py_result:ended(Reason)}
    end.

%% @doc Tells a runner the outcome of its call.
-spec tell(for(), outcome()) -> ok.
tell({runner, Alias}, Outcome) ->
    Alias ! {Alias, Outcome},
    ok.

%% Inline: works until the running function has its outcome.
-spec await(conversation()) -> {outcome(), conversation()}.
await(Conversation) ->
    case next(Conversation) of
        {serve, Frame, Conversation1} ->
            await(serve(Frame, Conversation1));
        {tell, inline, Outcome, Conversation1} ->
            {Outcome, Conversation1};
        {wait, Handle, Conversation1} ->
            case wait(Handle, Conversation1) of
                {ready, Conversation2} -> await(Conversation2);
                {expired, [{tell, inline, timeout}], Conversation2} -> {timeout, Conversation2};
                {expired, Effects, Conversation2} -> await(perform(Effects, Conversation2))
            end
    end.

%% Ends at the deadline or with the message of the socket, at the latest when the Python thread
%% dies. An exit of the parent ends this process; the supervisor kills it if the function has made
%% it trap exits.
-spec wait(reference(), conversation()) -> {ready, conversation()} | {expired, [py_call_stack:effect()], conversation()}.
wait(Handle, #conversation{stack = Stack} = Conversation) ->
    receive
        {'$socket', _, select, Handle} -> {ready, ready(Conversation)};
        {'$socket', _, abort, {Handle, Reason}} -> {ready, break(Reason, Conversation)}
    after wait_time(Conversation) ->
        {Effects, Stack1} = py_call_stack:expire(now_ms(), Stack),
        {expired, Effects, cancel(Conversation#conversation{stack = Stack1})}
    end.

%% Interrupts and time

%% @doc Python was interrupted down to the bottom call.
-spec interrupted(conversation()) -> conversation().
interrupted(#conversation{stack = Stack} = Conversation) ->
    Conversation#conversation{stack = py_call_stack:interrupted(Stack)}.

%% @doc Takes the message `{py_conversation, interrupt_answered, Id, Hit}'.
-spec interrupt_answered(py_frame:id(), boolean(), conversation()) -> conversation().
interrupt_answered(Id, Hit, #conversation{stack = Stack} = Conversation) ->
    Conversation#conversation{stack = py_call_stack:answered(Id, Hit, now_ms(), Stack)}.

%% @doc The time until {@link expire/1}, in ms.
-spec wait_time(conversation()) -> timeout().
wait_time(#conversation{stack = Stack, large = Large}) ->
    case py_call_stack:due(Stack) of
        infinity when Large -> ?IDLE;
        infinity -> infinity;
        now -> 0;
        Time -> max(0, Time - now_ms())
    end.

%% @doc Does what is due. An idle handler collects its garbage once after large calls: it would hold
%% their binaries until its next collection, maybe for ever.
-spec expire(conversation()) -> conversation().
expire(#conversation{stack = Stack} = Conversation) ->
    case py_call_stack:due(Stack) of
        infinity ->
            true = erlang:garbage_collect(),
            Conversation#conversation{large = false};
        _ ->
            {Effects, Stack1} = py_call_stack:expire(now_ms(), Stack),
            perform(Effects, Conversation#conversation{stack = Stack1})
    end.

-spec perform([py_call_stack:effect()], conversation()) -> conversation().
perform(Effects, Conversation) ->
    lists:foldl(fun perform_one/2, Conversation, Effects).

-spec perform_one(py_call_stack:effect(), conversation()) -> conversation().
perform_one({tell, For, Outcome}, Conversation) ->
    ok = tell(For, Outcome),
    Conversation;
perform_one({kill, Runner}, Conversation) ->
    ok = py_handler_sup:dismiss(Runner, interrupted),
    Conversation;
perform_one({interrupt, Id, Level}, Conversation) ->
    Handler = self(),
    %% py_contexts answers within seconds in any case.
    _ = spawn(fun() -> Handler ! {?MODULE, interrupt_answered, Id, py_contexts:interrupt_within(Handler, Level, Handler)} end),
    Conversation;
perform_one({break, Reason}, Conversation) ->
    break(Reason, Conversation).

-spec note(py_term:payload(), conversation()) -> conversation().
note(Payload, #conversation{large = false} = Conversation) when is_list(Payload); byte_size(Payload) >= ?LARGE ->
    Conversation#conversation{large = true};
note(_Payload, Conversation) ->
    Conversation.

-spec cancel(conversation()) -> conversation().
cancel(#conversation{channel = Channel} = Conversation) ->
    Conversation#conversation{channel = py_channel:cancel(Channel), handle = none}.

-spec deadline(timeout()) -> infinity | integer().
deadline(infinity) -> infinity;
deadline(Timeout) -> now_ms() + Timeout.

-spec now_ms() -> integer().
now_ms() ->
    erlang:monotonic_time(millisecond).
