%% @doc Keeps the contexts: Python threads of the hosts, for calls of the node. {@link py_pool}
%% decides, this process acts.
%%
%% A call passes through it once, with the arguments already encoded, on the way from its caller to
%% the handler of a context. The answer goes straight from the handler to the caller.
-module(py_contexts).
-behaviour(gen_server).

-export([start_link/1]).
-export([run/2, send/1, check/2, interrupt/1, interrupt_within/3, start/2, list/2, stop/0, running/0, stats/0, hosts/0, controls/0]).
-export([host/3]).
-export_type([job/0, outcome/0]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).

-include_lib("kernel/include/logger.hrl").

-record(state, {
    pool :: py_pool:pool(),
    roster = py_roster:new() :: py_roster:roster(),
    namespaces = py_namespaces:new() :: py_namespaces:namespaces(),
    %% The monitor of each call's owner. A call ends with its owner.
    owners = #{} :: #{Key :: reference() => Monitor :: reference()},
    %% All contexts stand still for this time before waiting calls are refused. The last look at
    %% them is `none' while calls need not wait.
    deadlock_after :: pos_integer() | infinity,
    snapshot = none :: none | py_deadlock:snapshot()
}).

%% `keep': the call may leave names in the namespace; later calls for this namespace go to the same
%% host, and it is dropped with its process. `owner': the call ends with this process, the caller by
%% default.
-type job() :: #{
    where := py_pool:where(),
    space := py_conversation:space(),
    keep := boolean(),
    payload := py_term:payload(),
    owner => pid()
}.
-type outcome() :: py_conversation:outcome() | interrupted | {max_contexts, pos_integer()}.

%% For a new thread to connect, and until an ended context is made up for.
-define(JOIN_TIMEOUT, 10000).
-define(REPLACE_AFTER, 50).
%% From a missed interrupt to the next, and from the first one to the end of the context.
-define(INSIST_AFTER, 20).
-define(GIVE_UP_AFTER, 5000).
%% From the end of a host to the end of its contexts. A handler sees the end itself, unless it waits
%% for a function.
-define(LOST_AFTER, 500).
%% Looks at the contexts during `deadlock_after'.
-define(LOOKS, 10).

-define(IS_WHERE(Where), (Where =:= any orelse tuple_size(Where) =:= 2 andalso is_pid(element(2, Where))
                          andalso (element(1, Where) =:= host orelse element(1, Where) =:= context))).

-spec start_link(py_settings:settings()) -> gen_server:start_ret().
start_link(Settings) ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, Settings, []).

%% @doc Gives a call to a context. When time runs out the context is interrupted; it, or another in
%% its place, is there for other calls.
-spec run(job(), timeout()) -> outcome().
run(Job, Timeout) ->
    Key = make_ref(),
    case ask({run, Key, Job}, Timeout) of
        timeout ->
            gen_server:cast(?MODULE, {cancel, Key}),
            timeout;
        Outcome ->
            Outcome
    end.

%% @doc The same without waiting: the outcome comes as a message for {@link check/2}.
-spec send(job()) -> gen_server:request_id().
send(Job) ->
    gen_server:send_request(?MODULE, {run, make_ref(), Job}).

-spec check(term(), gen_server:request_id()) -> {outcome, outcome()} | no.
check(Message, Sent) ->
    case gen_server:check_response(Message, Sent) of
        {reply, Outcome} -> {outcome, Outcome};
        {error, {Reason, _}} -> {outcome, {down, why(Reason)}};
        no_reply -> no
    end.

%% @doc Interrupts the call of a context; `false' when there is none.
-spec interrupt(pid()) -> boolean().
interrupt(Context) ->
    %% A silent host is at something. Its context is given up after the same time.
    case ask({interrupt, Context}, ?GIVE_UP_AFTER) of
        {down, _} -> false;
        timeout -> true;
        Hit -> Hit
    end.

%% @doc Interrupts the call of one level, and those within it; `false' when it has not begun or is
%% over, or when its maker, `Runner', is gone.
-spec interrupt_within(pid(), pos_integer(), pid()) -> boolean().
interrupt_within(Context, Level, Runner) ->
    case ask({interrupt_within, Context, Level, Runner}, ?GIVE_UP_AFTER) of
        {down, _} -> true;
        timeout -> true;
        Hit -> Hit
    end.

%% @doc Starts contexts, the given number for each host, and waits for them.
-spec start(default | pos_integer(), timeout()) -> {ok, [pid()]} | timeout | {down, term()}.
start(Contexts, Timeout) ->
    ask({start, Contexts}, Timeout).

%% @doc The contexts, once there is one.
-spec list(all | one, timeout()) -> {ok, [pid()]} | timeout | {down, term()}.
list(HowMany, Timeout) ->
    ask({list, HowMany}, Timeout).

%% While this process is started again there are no contexts, and no hosts.
-spec stop() -> ok.
stop() ->
    ask_now(stop, ok).

-spec running() -> boolean().
running() ->
    ask_now(running, false).

-spec stats() -> #{atom() => non_neg_integer()}.
stats() ->
    ask_now(stats, #{contexts => 0, contexts_idle => 0, calls_waiting => 0, hosts => 0}).

%% @doc The running hosts, for {@link run/2}.
-spec hosts() -> [pid()].
hosts() ->
    ask_now(hosts, []).

%% @doc Their control channels.
-spec controls() -> [pid()].
controls() ->
    ask_now(controls, []).

%% @doc Called by a host, the calling process, when its state changes; `Control' is the handler of
%% its control channel.
-spec host(pid(), py_capacity:host_state(), none | pid()) -> ok.
host(Host, HostState, Control) ->
    gen_server:cast(?MODULE, {host, Host, HostState, Control}).
-spec ask(term(), timeout()) -> term().
ask(Request, Timeout) ->
    try
        gen_server:call(?MODULE, Request, Timeout)
    catch
        exit:{timeout, _} ->
            timeout;
        exit:{Reason, _} ->
            ok = py_request:started(),
            {down, why(Reason)}
    end.

-spec ask_now(term(), Otherwise :: term()) -> term().
ask_now(Request, Otherwise) ->
    case ask(Request, infinity) of
        {down, _} -> Otherwise;
        Answer -> Answer
    end.

-spec why(term()) -> term().
why(noproc) -> <<"the application erlang_python is being stopped, or started again">>;
why(Reason) -> py_result:ended(Reason).

%% gen_server

-spec init(py_settings:settings()) -> {ok, #state{}}.
init(#{deadlock_after := DeadlockAfter} = Settings) ->
    {ok, #state{pool = py_pool:new(Settings), deadlock_after = DeadlockAfter}}.

%% Any process can send anything here, Python code too. Unknown requests are logged and refused.
-spec handle_call(term(), term(), #state{}) -> {reply, term(), #state{}} | {noreply, #state{}}.
handle_call(Request, {Caller, _} = From, State) when is_pid(Caller) ->
    request(Request, From, State);
handle_call(Request, _From, State) ->
    {noreply, stray(Request, State)}.

-spec request(term(), gen_server:from(), #state{}) -> {reply, term(), #state{}} | {noreply, #state{}}.
request({run, Key, Job}, {Caller, _} = From, State) when is_reference(Key), is_map(Job) ->
    case maps:merge(#{owner => Caller}, Job) of
        #{where := Where, space := Space, keep := Keep, payload := Payload, owner := Owner}
          when ?IS_WHERE(Where), is_boolean(Keep), is_pid(Owner), is_binary(Payload) orelse is_list(Payload) ->
            Request = #{key => Key, from => From, where => place(Where, Space, Keep, State), space => Space, keep => Keep, payload => Payload},
            {noreply, change(fun(Pool) -> py_pool:submit(Request, Pool) end, watch(Key, Owner, State))};
        _ ->
            {reply, {error, unknown_call}, stray({run, Key, Job}, State)}
    end;
request({interrupt, Context}, From, State) ->
    {noreply, change(fun(Pool) -> py_pool:interrupt(Context, From, Pool) end, State)};
request({interrupt_within, Context, Level, Runner}, From, State) when is_integer(Level), Level > 0, node(Runner) =:= node() ->
    case is_process_alive(Runner) andalso py_roster:control(Context, State#state.roster) of
        {ok, Control, Token} ->
            ok = py_control:interrupt(Control, Token, Level, {interrupt_within, From}),
            {noreply, State};
        false ->
            {reply, false, State}
    end;
request({start, Contexts}, From, State) when Contexts =:= default; is_integer(Contexts), Contexts > 0 ->
    State1 = change(fun(Pool) -> py_pool:resize(Contexts, Pool) end, State),
    {noreply, change(fun(Pool) -> py_pool:await(From, all, Pool) end, State1)};
request({list, HowMany}, From, State) when HowMany =:= all; HowMany =:= one ->
    {noreply, change(fun(Pool) -> py_pool:await(From, HowMany, Pool) end, State)};
request(stop, _From, State) ->
    {reply, ok, change(fun py_pool:stop/1, State)};
request(running, _From, #state{pool = Pool} = State) ->
    {reply, py_pool:running(Pool), State};
request(stats, _From, #state{pool = Pool} = State) ->
    {reply, py_pool:stats(Pool), State};
request(hosts, _From, #state{pool = Pool} = State) ->
    {reply, py_pool:hosts(Pool), State};
request(controls, _From, #state{roster = Roster} = State) ->
    {reply, py_roster:controls(Roster), State};
request(Request, _From, State) ->
    {reply, {error, unknown_call}, stray(Request, State)}.

-spec handle_cast(term(), #state{}) -> {noreply, #state{}}.
handle_cast({cancel, Key}, State) ->
    {noreply, cancel(Key, State)};
handle_cast({host, Host, HostState, Control}, #state{roster = Roster} = State) when is_pid(Host), is_pid(Control) =:= (HostState =:= up) ->
    State1 = lose(Host, HostState, State#state{roster = py_roster:host(Host, Control, Roster)}),
    _ = is_pid(Control) andalso py_logging:tell(Control),
    {noreply, change(fun(Pool) -> py_pool:host(Host, HostState, Pool) end, State1)};
handle_cast(Message, State) ->
    {noreply, stray(Message, State)}.

-spec handle_info(term(), #state{}) -> {noreply, #state{}}.
handle_info({py_done, Context}, State) ->
    {noreply, change(fun(Pool) -> py_pool:done(Context, Pool) end, State)};
handle_info({py_joined, Token, Context, Info}, #state{roster = Roster} = State) when is_pid(Context) ->
    case py_roster:connected(Context, Token, Info, Roster) of
        {ok, Host, Roster1} ->
            {noreply, change(fun(Pool) -> py_pool:joined(Context, Host, Pool) end, State#state{roster = Roster1})};
        error ->
            %% Too late: the token was given up while the context connected.
            _ = py_coordinator:dismiss(Context),
            {noreply, State}
    end;
handle_info({{grow, _Token}, {ok, _}}, State) ->
    {noreply, State};
handle_info({{grow, Token}, Outcome}, State) ->
    {noreply, not_joined(Token, Outcome, State)};
handle_info({join_timeout, Token}, State) ->
    {noreply, not_joined(Token, timeout, State)};
handle_info({drop, _Outcome}, State) ->
    {noreply, State};
handle_info({{interrupt, Context}, Outcome}, State) ->
    {noreply, interrupted(Context, py_control:answer(Outcome), State)};
handle_info({{interrupt_within, {Pid, _} = From}, Outcome}, State) when is_pid(Pid) ->
    gen_server:reply(From, py_control:answer(Outcome) =/= missed),
    {noreply, State};
handle_info({insist, Context, Stop}, State) ->
    {noreply, change(fun(Pool) -> py_pool:insist(Context, Stop, Pool) end, State)};
handle_info({give_up, Context, Stop}, State) ->
    {noreply, change(fun(Pool) -> py_pool:give_up(Context, Stop, Pool) end, State)};
handle_info(look, #state{snapshot = Before} = State) when Before =/= none ->
    {noreply, look(State)};
handle_info(replace, State) ->
    {noreply, change(fun py_pool:replace/1, State)};
handle_info({'DOWN', Monitor, process, Pid, Reason}, State) ->
    {noreply, down(Monitor, Pid, Reason, State)};
handle_info({{owner_down, Key}, _Monitor, process, _Pid, _Reason}, State) ->
    {noreply, cancel(Key, State)};
handle_info(Message, State) ->
    {noreply, stray(Message, State)}.

%% Ends of processes

-spec down(reference(), pid(), term(), #state{}) -> #state{}.
down(Monitor, Pid, Reason, #state{roster = Roster, namespaces = Namespaces} = State) ->
    case py_roster:down(Monitor, Pid, Roster) of
        {context, Roster1} ->
            change(fun(Pool) -> py_pool:ended(Pid, sent(Reason), py_result:ended(Reason), Pool) end, State#state{roster = Roster1});
        {host, Roster1} ->
            change(fun(Pool) -> py_pool:host_gone(Pid, Pool) end, lose(Pid, starting, State#state{roster = Roster1}));
        error ->
            case py_namespaces:owner_down(Monitor, Pid, Namespaces) of
                {In, Rest} ->
                    lists:foreach(fun(Host) -> drop(Pid, Host, State) end, In),
                    State#state{namespaces = Rest};
                error ->
                    State
            end
    end.

%% A handler's exit reason says whether it has sent its last request.
-spec sent(term()) -> sent | unsent.
sent(normal) -> unsent;
sent(noproc) -> unsent;
sent({shutdown, {unsent, _}}) -> unsent;
sent(_) -> sent.

-spec drop(pid(), pid(), #state{}) -> ok.
drop(Space, Host, #state{roster = Roster}) ->
    case py_roster:control_of(Host, Roster) of
        {ok, Control} -> py_control:drop(Control, Space, drop);
        false -> ok
    end.

%% Owners of calls

-spec watch(reference(), pid(), #state{}) -> #state{}.
watch(Key, Owner, #state{owners = Owners} = State) ->
    State#state{owners = Owners#{Key => monitor(process, Owner, [{tag, {owner_down, Key}}])}}.

-spec unwatch(reference(), #state{}) -> #state{}.
unwatch(Key, #state{owners = Owners} = State) ->
    case maps:take(Key, Owners) of
        {Monitor, Rest} ->
            %% The message may have been sent already; then it finds no such call.
            demonitor(Monitor),
            State#state{owners = Rest};
        error ->
            State
    end.

-spec cancel(reference(), #state{}) -> #state{}.
cancel(Key, State) ->
    change(fun(Pool) -> py_pool:cancel(Key, Pool) end, unwatch(Key, State)).

%% Interrupts

-spec interrupt(pid(), #state{}) -> #state{}.
interrupt(Context, #state{roster = Roster} = State) ->
    case py_roster:control(Context, Roster) of
        {ok, Control, Token} ->
            ok = py_control:interrupt(Control, Token, 1, {interrupt, Context}),
            State;
        false ->
            %% The host is lost, and the context with it.
            self() ! {{interrupt, Context}, {down, closed}},
            State
    end.

%% The interrupted code waits for no function any more. The handler waits on until it hears of the
%% interrupt.
-spec interrupted(pid(), hit | missed | failed, #state{}) -> #state{}.
interrupted(Context, Answer, State) ->
    _ = Answer =:= hit andalso is_pid(Context) andalso py_handler:interrupted(Context),
    change(fun(Pool) -> py_pool:interrupted(Context, Answer, Pool) end, State).

%% Deadlocks

%% Looks at the contexts from now on, if calls wait and no context comes.
-spec look_out(#state{}) -> #state{}.
look_out(#state{snapshot = none, deadlock_after = After, pool = Pool} = State) when After =/= infinity ->
    case py_pool:full(Pool) of
        true -> look_again(State);
        false -> State
    end;
look_out(State) ->
    State.

-spec look(#state{}) -> #state{}.
look(#state{snapshot = Snapshot, deadlock_after = After, pool = Pool} = State) ->
    case py_pool:full(Pool) of
        true ->
            #state{snapshot = Snapshot1} = State1 = look_again(State),
            case py_deadlock:stuck(After, now_ms(), Snapshot1) of
                [] -> State1;
                Stuck -> change(fun(P) -> py_pool:refuse(Stuck, P) end, State1)
            end;
        false when Snapshot =/= none ->
            State#state{snapshot = none}
    end.

-spec look_again(#state{}) -> #state{}.
look_again(#state{snapshot = Before, deadlock_after = After, roster = Roster} = State) ->
    _ = erlang:send_after(max(1, After div ?LOOKS), self(), look),
    State#state{snapshot = py_deadlock:snapshot(py_roster:counts(Roster), now_ms(), Before)}.

-spec now_ms() -> integer().
now_ms() ->
    erlang:monotonic_time(millisecond).

%% Namespaces

%% A process with names on some host goes there again, if it needs them.
-spec place(py_pool:where(), py_conversation:space(), boolean(), #state{}) -> py_pool:where().
place(any, Space, true, #state{namespaces = Namespaces}) when is_pid(Space) -> py_namespaces:place(Space, Namespaces);
place(Where, _Space, _Keep, _State) -> Where.

%% A restarted host has lost its namespaces, and the requests for contexts.
-spec lose(pid(), py_capacity:host_state(), #state{}) -> #state{}.
lose(_Host, up, State) ->
    State;
lose(Host, _HostState, #state{namespaces = Namespaces, roster = Roster} = State) ->
    State1 = State#state{namespaces = py_namespaces:lose(Host, Namespaces)},
    lists:foldl(fun(Token, S) -> element(2, forget(Token, S)) end, State1, py_roster:awaited(Host, Roster)).

%% A context with this token is not let in any more.
-spec forget(py_handshake:token(), #state{}) -> {{ok, Host :: pid()} | error, #state{}}.
forget(Token, #state{roster = Roster} = State) ->
    case py_roster:forget(Token, Roster) of
        {ok, Host, Roster1} ->
            ok = py_coordinator:forget(Token),
            {{ok, Host}, State#state{roster = Roster1}};
        error ->
            {error, State}
    end.

%% Effects

-spec change(fun((py_pool:pool()) -> {[py_pool:effect()], py_pool:pool()}), #state{}) -> #state{}.
change(Change, #state{pool = Pool} = State) ->
    {Effects, Pool1} = Change(Pool),
    look_out(lists:foldl(fun effect/2, State#state{pool = Pool1}, Effects)).

-spec effect(py_pool:effect(), #state{}) -> #state{}.
effect({send, Context, Host, #{from := From, space := Space, payload := Payload, keep := Keep}}, State) ->
    ok = py_handler:request(Context, {caller, From, self()}, Space, Payload),
    case Keep of
        true when is_pid(Space) -> State#state{namespaces = py_namespaces:add(Space, Host, State#state.namespaces)};
        _ -> State
    end;
effect({over, #{key := Key}}, State) ->
    unwatch(Key, State);
effect({reply, #{key := Key, from := From}, Answer}, State) ->
    gen_server:reply(From, Answer),
    unwatch(Key, State);
effect({told, From, Hit}, State) ->
    gen_server:reply(From, Hit),
    State;
effect({ready, From, Answer}, State) ->
    gen_server:reply(From, Answer),
    State;
effect({grow, Host}, State) ->
    grow(Host, State);
effect(grow_later, State) ->
    _ = erlang:send_after(?REPLACE_AFTER, self(), replace),
    State;
effect({interrupt, Context}, State) ->
    interrupt(Context, State);
effect({insist_later, Context, Stop}, State) ->
    _ = erlang:send_after(?INSIST_AFTER, self(), {insist, Context, Stop}),
    State;
effect({kill_later, Context, Stop}, State) ->
    _ = erlang:send_after(?GIVE_UP_AFTER, self(), {give_up, Context, Stop}),
    State;
effect({kill_soon, Context, Stop}, State) ->
    _ = erlang:send_after(?LOST_AFTER, self(), {give_up, Context, Stop}),
    State;
effect({kill, Context}, State) ->
    %% Also when it is running a function; its socket closes with it.
    ok = py_handler_sup:dismiss(Context, given_up),
    State.

-spec grow(pid(), #state{}) -> #state{}.
grow(Host, #state{roster = Roster} = State) ->
    {ok, Control} = py_roster:control_of(Host, Roster),
    Token = py_coordinator:expect(context),
    ok = py_control:start_context(Control, Token, {grow, Token}),
    Timer = erlang:send_after(?JOIN_TIMEOUT, self(), {join_timeout, Token}),
    State#state{roster = py_roster:expect(Token, Host, Timer, Roster)}.

-spec not_joined(py_handshake:token(), py_conversation:outcome(), #state{}) -> #state{}.
not_joined(Token, Outcome, State) ->
    case forget(Token, State) of
        {{ok, Host}, State1} ->
            Reason = case Outcome of timeout -> <<"a new context did not connect">>; _ -> py_result:reason(Outcome) end,
            ?LOG_WARNING(#{what => py_context_failed, reason => Reason}),
            change(fun(Pool) -> py_pool:join_failed(Host, Reason, Pool) end, State1);
        {error, State1} ->
            State1
    end.

-spec stray(term(), #state{}) -> #state{}.
stray(Message, State) ->
    ?LOG_WARNING(#{what => py_stray_message, process => ?MODULE, message => Message}),
    State.
