%% @doc The process of one submitted call, or of the calls of a batch (PROTOCOL.md, section 4.1).
%%
%% It sends its answers to {@link py_async} as `{Tag, self(), Answer}'. Functions do not know the
%% tag, so a message of theirs is never taken for an answer.
-module(py_submitted).

-export([start/3, start/4, guard/1, is_builtin/1]).
-export_type([context/0, answer/0]).

%% The channel's part of it, the same for all its calls.
-type context() :: #{
    channel := pid(),
    tag := reference(),
    policy := py_term:policy(),
    max_frame := pos_integer()
}.
-type answer() :: {ok | error, py_term:payload()} | py_batch:answer().

-record(work, {
    context :: context(),
    claims :: py_batches:claims(),
    name :: binary(),
    last = none :: py_registry:last()
}).

%% The garbage of a call of a small function, in words, and the most calls to make room for.
-define(GARBAGE, 64).
-define(ROOMY, 128).

%% @doc Whether a call is for the node itself and not for a registered function.
-spec is_builtin(binary()) -> boolean().
is_builtin(<<131, 104, 2, 109, _/binary>>) -> false;
is_builtin(_Payload) -> true.

%% @doc Starts the process of a call.
-spec start(py_backlog:key(), binary(), context()) -> pid().
start(Key, Payload, Context) when is_reference(Key) ->
    #{policy := Policy} = Context,
    spawn_for(Context, fun() -> py_function:cast(Payload, Policy) end, []);
start(Key, Payload, Context) ->
    Batched = is_tuple(Key),
    spawn_for(Context, fun() -> call(Payload, Batched, Context) end, []).

%% @doc Starts the process of a batch. It begins with the heap that its calls will fill, since
%% growing to it takes longer than they do.
-spec start(binary(), pos_integer(), py_batches:claims(), context()) -> pid().
start(Payload, Count, Claims, Context) ->
    Heap = ?GARBAGE * min(Count, ?ROOMY),
    spawn_for(Context, fun() -> batch(Payload, Count, Claims, Context) end, [{min_heap_size, Heap}]).

%% The channel hears of the end as `{Tag, _, process, Pid, Reason}'. A monitor, since a function can
%% undo a link and would then die unheard; not both, since a call would take a quarter longer.
-spec spawn_for(context(), fun(() -> ok), [{min_heap_size, pos_integer()}]) -> pid().
spawn_for(#{tag := Tag}, Fun, Options) ->
    {Pid, _} = spawn_opt(Fun, [{monitor, [{tag, Tag}]} | py_function:limits() ++ Options]),
    Pid.

%% @doc Ends the processes of a killed channel.
-spec guard(Channel :: pid()) -> pid().
guard(Channel) ->
    spawn(fun() ->
        Monitor = monitor(process, Channel),
        %% The channel's end comes for certain.
        receive {'DOWN', Monitor, process, Channel, _} -> ok end,
        Mine = self(),
        lists:foreach(fun(Pid) -> exit(Pid, kill) end, [Pid || Pid <- processes(), Pid =/= Mine, started_by(Channel, Pid)])
    end).

-spec started_by(pid(), pid()) -> boolean().
started_by(Channel, Pid) ->
    process_info(Pid, parent) =:= {parent, Channel}.

%% In the process

-spec tell(answer(), context()) -> ok.
tell(Answer, #{channel := Channel, tag := Tag}) ->
    Channel ! {Tag, self(), Answer},
    ok.

-spec call(binary(), Batched :: boolean(), context()) -> ok.
call(Payload, Batched, #{policy := Policy, max_frame := MaxFrame} = Context) ->
    Result = py_function:perform(Payload, Policy),
    Answer =
        case Batched of
            true -> py_function:answer(Result, MaxFrame, py_batch:room());
            false -> py_function:answer(Result, MaxFrame)
        end,
    tell(Answer, Context).

%% Ends before its time if one of the calls has left something behind that could disturb the next. A
%% batch that cannot be decoded, or is too large for one process, is not begun: then each call is
%% tried alone.
-spec batch(binary(), pos_integer(), py_batches:claims(), context()) -> ok.
batch(Payload, Count, Claims, #{policy := Policy} = Context) ->
    case py_function:fits(Payload) andalso py_term:decode(Payload, Policy) of
        {ok, {Name, _Sizes, Args}} when length(Args) =:= Count ->
            run(1, Args, #work{context = Context, claims = Claims, name = Name});
        _ ->
            ok
    end.

-spec run(py_batch:index(), [term()], #work{}) -> ok.
run(Index, [Arg | Args], #work{context = Context, claims = Claims, name = Name} = Work) ->
    case py_batches:claim(Index, Claims) of
        true ->
            {Found, Last} = py_registry:lookup(Name, Work#work.last),
            Result = py_function:run(Found, Name, [Arg]),
            {Kind, Payload} = py_function:answer(Result, map_get(max_frame, Context), py_batch:room()),
            ok = tell({Index, Kind, Payload}, Context),
            case Args =/= [] andalso clean() of
                true -> run(Index + 1, Args, Work#work{last = Last});
                false -> ok
            end;
        false ->
            ok
    end.

%% Whether the process is as good as new. A link left behind might end a later call, and a message
%% be taken for one of its own. A timer or a helper left behind is not seen.
-spec clean() -> boolean().
clean() ->
    _ = get() =:= [] orelse erase(),
    _ = process_flag(trap_exit, false),
    case process_info(self(), [links, monitors, message_queue_len, registered_name]) of
        [{links, []}, {monitors, []}, {message_queue_len, 0}, {registered_name, []}] -> true;
        _ -> false
    end.
