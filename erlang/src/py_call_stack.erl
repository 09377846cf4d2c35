%% @doc The nested calls of one channel, youngest first (PROTOCOL.md, section 4). Pure.
%%
%% Calls of Python and functions of the node take turns in the stack. The node's call is at the
%% bottom for a context, Python's for a thread. {@link step/1} gives the next action, {@link
%% expire/2} the actions due by the clock.
%%
%% A function runs `inline', in the handler, or `apart', in a process of its own. Only the second
%% kind can be killed alone.
-module(py_call_stack).

-export([new/2, is_empty/1, moves/1]).
-export([step/1, call/3, serve/3, reply/3, move/3, broken/2]).
-export([interrupted/1, given_up/1, answered/4, due/1, expire/2]).
-export_type([stack/0, runner/0, move/0, outcome/0, effect/0]).

-type runner() :: pid().
-type outcome() :: {ok | error, binary()} | timeout | interrupted | {down, term()}.

%% A function calls Python, or ends.
-type move() :: {call, For :: term(), py_term:payload(), timeout()} | {answer, ok | error, py_term:payload()}.

%% A point in monotonic time, in ms.
-type time() :: now | integer() | infinity.

-type effect() ::
    {tell, For :: term(), outcome()}
    | {interrupt, py_frame:id(), Level :: pos_integer()}
    | {kill, runner()}
    | {break, term()}.

-record(function, {
    id :: py_frame:id() | cast,
    runner :: runner(),
    move = none :: none | move(),
    %% Python may have given up on the function: from a time on, the handler looks if it has. Or
    %% it surely has, and the function is killed at a time.
    interrupted = no :: no | perhaps | {look, time()} | surely | {kill, time()},
    %% Python answered an outer call, and takes no answer of this function.
    passed = false :: boolean()
}).

-record(abandoned, {
    until :: integer(),
    %% The time of the next interrupt, and the pause after one has missed.
    retry :: time(),
    pause :: pos_integer(),
    asking = false :: boolean()
}).

-record(call, {
    id :: py_frame:id(),
    for :: term(),
    deadline = infinity :: time(),
    outcome = none :: none | outcome(),
    %% The function went on without the answer. Python still owes it.
    abandoned = none :: none | #abandoned{}
}).

-record(stack, {
    kind :: inline | apart,
    max_nesting :: pos_integer(),
    next_id = 1 :: py_frame:id(),
    levels = [] :: [#function{} | #call{}],
    %% The number of pushes and pops: odd while Python waits for a function.
    moves = 0 :: non_neg_integer(),
    broken = none :: none | {broken, term()}
}).

-opaque stack() :: #stack{}.

%% In ms: the time Python has to end an abandoned call, and an interrupted function to end by
%% itself; the first and the longest pause between interrupts.
-define(GRACE, 5000).
-define(KILL_AFTER, 150).
-define(SOON, 20).
-define(LATE, 640).

-spec new(inline | apart, pos_integer()) -> stack().
new(Kind, MaxNesting) ->
    #stack{kind = Kind, max_nesting = MaxNesting}.

-spec is_empty(stack()) -> boolean().
is_empty(#stack{levels = Levels}) ->
    Levels =:= [].

-spec moves(stack()) -> non_neg_integer().
moves(#stack{moves = Moves}) ->
    Moves.

%% Next actions

%% @doc The next action. `read': Python speaks next. `wait': a function runs. `look': one runs in
%% vain if Python speaks.
-spec step(stack()) ->
    {read | look | wait, stack()}
    | {tell, For :: term(), outcome(), stack()}
    | {call, For :: term(), py_term:payload(), timeout(), stack()}
    | {answer, py_frame:id(), ok | error, py_term:payload(), stack()}
    | {stop, term()}.
step(#stack{levels = [], broken = none} = Stack) ->
    {read, Stack};
step(#stack{levels = [], broken = {broken, Reason}}) ->
    {stop, Reason};
step(#stack{levels = [#call{outcome = none} | _]} = Stack) ->
    {read, Stack};
step(#stack{levels = [#call{abandoned = #abandoned{asking = true}} | _]} = Stack) ->
    %% An interrupt under way would hit the next call of this level.
    {wait, Stack};
step(#stack{levels = [#call{abandoned = #abandoned{}} | _]} = Stack) ->
    step(pop(Stack));
step(#stack{levels = [#call{outcome = {down, Reason}}], broken = {broken, _}}) ->
    {stop, Reason};
step(#stack{levels = [#call{for = For, outcome = Outcome} = Call | Below]} = Stack) ->
    {tell, For, Outcome, pop(Stack#stack{levels = [Call | convict(Outcome, Below)]})};
step(#stack{levels = [#function{move = none, interrupted = {look, now}} | _]} = Stack) ->
    {look, Stack};
step(#stack{levels = [#function{move = none} | _]} = Stack) ->
    {wait, Stack};
step(#stack{levels = [#function{move = {call, For, Payload, Timeout}} = Top | Rest]} = Stack) ->
    Stack1 = Stack#stack{levels = [Top#function{move = none} | Rest]},
    case refusal(Top, Stack) of
        none -> {call, For, Payload, Timeout, Stack1};
        Refusal -> {tell, For, Refusal, Stack1}
    end;
step(#stack{levels = [#function{id = Id, passed = Passed, move = {answer, _, _}} | _], broken = Broken} = Stack)
        when Id =:= cast; Passed; Broken =/= none ->
    step(pop(Stack));
step(#stack{levels = [#function{id = Id, move = {answer, Kind, Payload}} | _]} = Stack) ->
    {answer, Id, Kind, Payload, pop(Stack)}.

-spec refusal(#function{}, stack()) -> none | outcome().
refusal(_Function, #stack{broken = {broken, Reason}}) ->
    {down, Reason};
refusal(#function{interrupted = surely}, _Stack) ->
    interrupted;
refusal(#function{interrupted = {kill, _}}, _Stack) ->
    interrupted;
refusal(_Function, #stack{levels = Levels, max_nesting = Max}) ->
    case length([Id || #function{id = Id} <- Levels]) > Max of
        true -> {error, py_term:encode(py_failure:nesting(Max))};
        false -> none
    end.

%% An interrupt of an outer level ends a nested call first, then Python's wait for its function.
-spec convict(outcome(), [#function{} | #call{}]) -> [#function{} | #call{}].
convict(Outcome, [#function{interrupted = Interrupted} = Function | Below] = Levels)
        when Interrupted =:= perhaps; element(1, Interrupted) =:= look ->
    case py_result:result(Outcome, safe) of
        {error, interrupted} -> [Function#function{interrupted = surely} | Below];
        _ -> Levels
    end;
convict(_Outcome, Levels) ->
    Levels.

-spec pop(stack()) -> stack().
pop(#stack{levels = [_ | Rest]} = Stack) -> count(Stack, Rest).

%% The bottom call of a context does not count: Python waits for no function yet.
-spec count(stack(), [#function{} | #call{}]) -> stack().
count(#stack{levels = [#call{}]} = Stack, []) -> Stack#stack{levels = []};
count(#stack{levels = []} = Stack, [#call{}] = Levels) -> Stack#stack{levels = Levels};
count(#stack{moves = Moves} = Stack, Levels) -> Stack#stack{levels = Levels, moves = Moves + 1}.

%% Events

%% @doc Pushes a call of Python. An equal id, 2^32 calls old, may stand below: replies match from
%% the top.
-spec call(For :: term(), infinity | integer(), stack()) -> {py_frame:id(), stack()}.
call(For, Deadline, #stack{next_id = Id, levels = Levels} = Stack) ->
    Stack1 = count(Stack, [#call{id = Id, for = For, deadline = Deadline} | Levels]),
    {Id, Stack1#stack{next_id = (Id rem 16#FFFFFFFF) + 1}}.

%% @doc Pushes a function of the node, run by that process.
-spec serve(py_frame:id() | cast, runner(), stack()) -> stack().
serve(Id, Runner, #stack{levels = Levels} = Stack) ->
    count(Stack, [#function{id = Id, runner = Runner} | Levels]).

%% @doc Python has answered a call. If a context is at no call further down, its thread has given up
%% on all functions above. The reply to an inner call may have crossed a function's call: it waits.
-spec reply(py_frame:id(), outcome(), stack()) -> {ok, [effect()], stack()} | error.
reply(Id, Outcome, #stack{kind = Kind, levels = Levels} = Stack) ->
    case lists:splitwith(fun(Level) -> not is_awaited(Id, Level) end, Levels) of
        {_, []} ->
            error;
        {Above, [Call | Below]} ->
            IsLast = Kind =:= apart andalso level(Below) =:= 1,
            {Effects, Above1} = lists:unzip([pass(Level, IsLast) || Level <- Above]),
            {ok, lists:append(Effects), Stack#stack{levels = Above1 ++ [Call#call{outcome = Outcome} | Below]}}
    end.

-spec pass(#function{} | #call{}, boolean()) -> {[effect()], #function{} | #call{}}.
pass(#function{runner = Runner} = Function, true) -> {[{kill, Runner}], Function#function{passed = true}};
pass(Level, _IsLast) -> {[], Level}.

%% @doc Python spoke while a function ran: it has given up on the function.
-spec given_up(stack()) -> {[effect()], stack()}.
given_up(#stack{levels = [#function{runner = Runner} = Top | Below]} = Stack) ->
    {[{kill, Runner}], Stack#stack{levels = [Top#function{interrupted = {kill, infinity}} | Below]}}.

-spec is_awaited(py_frame:id(), #function{} | #call{}) -> boolean().
is_awaited(Id, #call{id = Id, outcome = none}) -> true;
is_awaited(_Id, _Level) -> false.

%% @doc Notes a function's call of Python, or its end. The death of a function abandons its nested
%% call. Moves of unknown processes are ignored.
-spec move(runner(), move(), stack()) -> stack().
move(Runner, Move, #stack{levels = Levels} = Stack) ->
    Stack#stack{levels = moved(Levels, Runner, Move)}.

-spec moved([#function{} | #call{}], runner(), move()) -> [#function{} | #call{}].
moved([#function{runner = Runner} = Function | Rest], Runner, Move) ->
    [Function#function{move = Move} | Rest];
moved([#call{} = Call, #function{runner = Runner} = Function | Rest], Runner, {answer, _, _} = Move) ->
    [Call#call{deadline = now}, Function#function{move = Move} | Rest];
moved([Level | Rest], Runner, Move) ->
    [Level | moved(Rest, Runner, Move)];
moved([], _Runner, _Move) ->
    [].

%% @doc The channel is lost. Nested calls fail, and the functions end one after the other.
-spec broken(term(), stack()) -> stack().
broken(Reason, #stack{levels = Levels} = Stack) ->
    Stack#stack{broken = {broken, Reason}, levels = [break(Reason, Level) || Level <- Levels]}.

-spec break(term(), #function{} | #call{}) -> #function{} | #call{}.
break(Reason, #call{outcome = none} = Call) -> Call#call{outcome = {down, Reason}};
break(_Reason, Level) -> Level.

%% Interrupts

%% @doc Python was interrupted down to the bottom call. Each function of the stack has a short time
%% to end. Then it is killed as soon as Python says anything: Python still waits for an innocent
%% one begun since, and is silent.
-spec interrupted(stack()) -> stack().
interrupted(#stack{levels = Levels} = Stack) ->
    Stack#stack{levels = [interrupt(Level) || Level <- Levels]}.

-spec interrupt(#function{} | #call{}) -> #function{} | #call{}.
interrupt(#function{interrupted = no} = Function) -> Function#function{interrupted = perhaps};
interrupt(Level) -> Level.

%% @doc Takes the host's answer to an `interrupt': `true' if Python was running that call.
-spec answered(py_frame:id(), boolean(), integer(), stack()) -> stack().
answered(Id, Hit, Now, #stack{levels = Levels} = Stack) ->
    case lists:splitwith(fun(Level) -> not is_asking(Id, Level) end, Levels) of
        {_, []} ->
            Stack;
        {Above, [#call{abandoned = Abandoned} = Call | Rest]} when Hit ->
            Stopped = Call#call{abandoned = Abandoned#abandoned{asking = false, retry = infinity}},
            %% After calls have crossed, Python's levels are others.
            interrupted(Stack#stack{levels = Above ++ [Stopped | Rest]});
        {Above, [#call{abandoned = #abandoned{until = Until, pause = Pause} = Abandoned} = Call | Rest]} ->
            Retry = case Now < Until of true -> Now + Pause; false -> infinity end,
            Again = Abandoned#abandoned{asking = false, retry = Retry, pause = min(2 * Pause, ?LATE)},
            Stack#stack{levels = Above ++ [Call#call{abandoned = Again} | Rest]}
    end.

-spec is_asking(py_frame:id(), #function{} | #call{}) -> boolean().
is_asking(Id, #call{id = Id, abandoned = #abandoned{asking = Asking}}) -> Asking;
is_asking(_Id, _Level) -> false.

%% Time

%% @doc The time of the next {@link expire/2}. Inline, only the youngest call can time out: the
%% function of an outer call is not the one running.
-spec due(stack()) -> time().
due(#stack{levels = []}) -> infinity;
due(#stack{kind = inline, levels = [Top | Below]}) -> due(Top, Below, true);
due(#stack{levels = [Top | Below]}) -> earliest(due(Top, Below, true), due_below(Below)).

-spec due_below([#function{} | #call{}]) -> time().
due_below([]) -> infinity;
due_below([Level | Below]) -> earliest(due(Level, Below, false), due_below(Below)).

-spec due(#function{} | #call{}, [#function{} | #call{}], boolean()) -> time().
due(#call{outcome = none, abandoned = none, deadline = Deadline}, _Below, _IsTop) -> Deadline;
due(#call{outcome = none, abandoned = #abandoned{} = Abandoned}, Below, _IsTop) -> earliest(retry(Abandoned), grace(Abandoned, Below));
due(#function{interrupted = perhaps}, _Below, true) -> now;
due(#function{interrupted = surely}, _Below, true) -> now;
due(#function{interrupted = {kill, Time}}, _Below, true) -> Time;
due(#function{interrupted = {look, Time}}, _Below, true) when Time =/= now -> Time;
due(_Level, _Below, _IsTop) -> infinity.

-spec retry(#abandoned{}) -> time().
retry(#abandoned{asking = true}) -> infinity;
retry(#abandoned{retry = Retry}) -> Retry.

%% Python has no limit until the function needs the channel.
-spec grace(#abandoned{}, [#function{} | #call{}]) -> time().
grace(#abandoned{until = Until}, [#function{move = Move} | _]) when Move =/= none -> Until;
grace(_Abandoned, _Below) -> infinity.

-spec earliest(time(), time()) -> time().
earliest(now, _) -> now;
earliest(_, now) -> now;
earliest(A, B) -> min(A, B).

-spec is_due(time(), integer()) -> boolean().
is_due(now, _Now) -> true;
is_due(Time, Now) -> Time =< Now.

%% @doc Does what is due.
-spec expire(integer(), stack()) -> {[effect()], stack()}.
expire(_Now, #stack{levels = []} = Stack) ->
    {[], Stack};
expire(Now, #stack{kind = Kind, levels = [Top | Below]} = Stack) ->
    {Effects, Top1} = expire(Now, Top, Below, true, Kind),
    {More, Below1} = case Kind of inline -> {[], Below}; apart -> expire_below(Now, Below) end,
    {Effects ++ More, Stack#stack{levels = [Top1 | Below1]}}.

-spec expire_below(integer(), [#function{} | #call{}]) -> {[effect()], [#function{} | #call{}]}.
expire_below(_Now, []) ->
    {[], []};
expire_below(Now, [Level | Below]) ->
    {Effects, Level1} = expire(Now, Level, Below, false, apart),
    {More, Below1} = expire_below(Now, Below),
    {Effects ++ More, [Level1 | Below1]}.

-spec expire(integer(), #function{} | #call{}, [#function{} | #call{}], boolean(), inline | apart) ->
    {[effect()], #function{} | #call{}}.
expire(Now, Level, Below, IsTop, Kind) ->
    case is_due(due(Level, Below, IsTop), Now) of
        true -> expired(Now, Level, Below, Kind);
        false -> {[], Level}
    end.

-spec expired(integer(), #function{} | #call{}, [#function{} | #call{}], inline | apart) -> {[effect()], #function{} | #call{}}.
expired(Now, #call{abandoned = none, for = For} = Call, _Below, Kind) ->
    %% The host can interrupt contexts, no plain threads.
    Retry = case Kind of apart -> now; inline -> infinity end,
    {[{tell, For, timeout}], Call#call{abandoned = #abandoned{until = Now + ?GRACE, retry = Retry, pause = ?SOON}}};
expired(Now, #call{id = Id, abandoned = Abandoned} = Call, Below, _Kind) ->
    case is_due(retry(Abandoned), Now) of
        true -> {[{interrupt, Id, level(Below)}], Call#call{abandoned = Abandoned#abandoned{asking = true}}};
        false -> {[{break, timeout}], Call}
    end;
expired(Now, #function{interrupted = perhaps} = Function, _Below, _Kind) ->
    {[], Function#function{interrupted = {look, Now + ?KILL_AFTER}}};
expired(_Now, #function{interrupted = {look, _}} = Function, _Below, _Kind) ->
    {[], Function#function{interrupted = {look, now}}};
expired(Now, #function{interrupted = surely} = Function, _Below, _Kind) ->
    {[], Function#function{interrupted = {kill, Now + ?KILL_AFTER}}};
expired(_Now, #function{runner = Runner} = Function, _Below, _Kind) ->
    {[{kill, Runner}], Function#function{interrupted = {kill, infinity}}}.

%% The level of a call as Python counts: answered calls below it are over.
-spec level([#function{} | #call{}]) -> pos_integer().
level(Below) ->
    1 + length([Id || #call{id = Id, outcome = none} <- Below]).
