%% @doc Keeps the contexts: Python threads of the hosts that serve the node's calls. {@link py_pool} decides, this process does.
%%
%% A caller's process and the context's handler speak to each other through it once per call, with the arguments already encoded; the
%% answer goes straight from the handler to the caller.
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
    %% Hosts that have told of themselves: their monitor, and the handler of their control channel while they are up.
    hosts = #{} :: #{pid() => {reference(), none | pid()}},
    contexts = #{} :: #{pid() => {Monitor :: reference(), Host :: pid(), py_handshake:token()}},
    %% Contexts asked for, until they connect.
    tokens = #{} :: #{py_handshake:token() => {Host :: pid(), Timer :: reference()}},
    %% Processes with namespaces in Python, and where.
    spaces = #{} :: #{pid() => {reference(), [Host :: pid()]}},
    %% Those for whom a call is done, until it is: what nobody waits for any more is not to be done.
    owners = #{} :: #{Key :: reference() => Monitor :: reference()},
    %% Who wants to know of an interrupt whether it has hit something.
    interrupts = #{} :: #{Context :: pid() => [gen_server:from()]},
    %% While calls wait and there may be no more contexts: what these were at when last looked at.
    sight = none :: none | py_stuck:standing()
}).

%% What is to be done. `keep' says that what it leaves in the namespace matters: later calls for that namespace go to the same host, and it
%% is dropped with its process. `owner' is who it is done for, when that is not the caller: when that process ends, so does the call.
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
%% Until what an interrupt has missed is interrupted again, and until a context that does not stop is given up.
-define(INSIST_AFTER, 20).
-define(GIVE_UP_AFTER, 5000).
%% Between two looks at contexts that may be stuck.
-define(LOOK_AFTER, 100).

-spec start_link(py_settings:settings()) -> gen_server:start_ret().
start_link(Settings) ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, Settings, []).

%% @doc Has a context do a call. When time runs out the context is interrupted; it, or another in its place, is there for other calls.
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

%% @doc The same without waiting: the outcome comes as a message, which {@link check/2} knows.
-spec send(job()) -> gen_server:request_id().
send(Job) ->
    gen_server:send_request(?MODULE, {run, make_ref(), Job}).

-spec check(term(), gen_server:request_id()) -> {outcome, outcome()} | no.
check(Message, Sent) ->
    case gen_server:check_response(Message, Sent) of
        {reply, Outcome} -> {outcome, Outcome};
        {error, {Reason, _}} -> {outcome, {down, Reason}};
        no_reply -> no
    end.

%% @doc Interrupts what a context is at; `false' when it was at nothing.
-spec interrupt(pid()) -> boolean().
interrupt(Context) ->
    %% A host that does not answer is at something, whatever it is.
    case ask({interrupt, Context}, ?GIVE_UP_AFTER) of
        {down, _} -> false;
        timeout -> true;
        Hit -> Hit
    end.

%% @doc Interrupts the call of that level alone, and those within it; `false' when there is none yet, or any more, or when the process that made
%% it is gone.
-spec interrupt_within(pid(), pos_integer(), pid()) -> boolean().
interrupt_within(Context, Level, Runner) ->
    case ask({interrupt_within, Context, Level, Runner}, ?GIVE_UP_AFTER) of
        {down, _} -> true;
        timeout -> true;
        Hit -> Hit
    end.

%% @doc Starts contexts, that many for each host, and waits for them.
-spec start(default | pos_integer(), timeout()) -> {ok, [pid()]} | timeout | {down, term()}.
start(Contexts, Timeout) ->
    ask({start, Contexts}, Timeout).

%% @doc The contexts, once there is one.
-spec list(all | one, timeout()) -> {ok, [pid()]} | timeout | {down, term()}.
list(HowMany, Timeout) ->
    ask({list, HowMany}, Timeout).

-spec stop() -> ok.
stop() ->
    gen_server:call(?MODULE, stop).

-spec running() -> boolean().
running() ->
    gen_server:call(?MODULE, running).

-spec stats() -> #{atom() => non_neg_integer()}.
stats() ->
    gen_server:call(?MODULE, stats).

%% @doc The hosts that are up, for {@link run/2}.
-spec hosts() -> [pid()].
hosts() ->
    gen_server:call(?MODULE, hosts).

%% @doc Their control channels.
-spec controls() -> [pid()].
controls() ->
    gen_server:call(?MODULE, controls).

%% @doc Called by a host, the calling process, when its state changes; `Control' is the handler of its control channel.
-spec host(pid(), py_pool:host_state(), none | pid()) -> ok.
host(Host, HostState, Control) ->
    gen_server:cast(?MODULE, {host, Host, HostState, Control}).

-spec ask(term(), timeout()) -> term().
ask(Request, Timeout) ->
    try
        gen_server:call(?MODULE, Request, Timeout)
    catch
        exit:{timeout, _} -> timeout;
        exit:{noproc, _} -> {down, <<"the application erlang_python is not started">>};
        exit:{Reason, _} -> {down, Reason}
    end.

%% gen_server

-spec init(py_settings:settings()) -> {ok, #state{}}.
init(Settings) ->
    {ok, #state{pool = py_pool:new(Settings)}}.

-spec handle_call(term(), gen_server:from(), #state{}) -> {reply, term(), #state{}} | {noreply, #state{}}.
handle_call({run, Key, #{where := Where, space := Space, keep := Keep, payload := Payload} = Job}, {Caller, _} = From, State) ->
    Request = #{key => Key, from => From, where => place(Where, Space, Keep, State), space => Space, keep => Keep, payload => Payload},
    State1 = watch(Key, maps:get(owner, Job, Caller), State),
    {noreply, look_out(change(fun(Pool) -> py_pool:submit(Request, Pool) end, State1))};
handle_call({interrupt, Context}, From, #state{pool = Pool, interrupts = Interrupts} = State) ->
    case py_pool:busy(Context, Pool) of
        true ->
            Asking = maps:update_with(Context, fun(Froms) -> [From | Froms] end, [From], Interrupts),
            {noreply, change(fun(P) -> py_pool:interrupt(Context, P) end, State#state{interrupts = Asking})};
        false ->
            {reply, false, State}
    end;
handle_call({interrupt_within, Context, Level, Runner}, From, State) ->
    case is_process_alive(Runner) andalso control(Context, State) of
        {ok, Control, Token} ->
            ok = py_control:interrupt(Control, Token, Level, {interrupt_within, From}),
            {noreply, State};
        false ->
            {reply, false, State}
    end;
handle_call({start, Contexts}, From, State) ->
    State1 = change(fun(Pool) -> py_pool:resize(Contexts, Pool) end, State),
    {noreply, change(fun(Pool) -> py_pool:await(From, all, Pool) end, State1)};
handle_call({list, HowMany}, From, State) ->
    {noreply, change(fun(Pool) -> py_pool:await(From, HowMany, Pool) end, State)};
handle_call(stop, _From, State) ->
    {reply, ok, change(fun py_pool:stop/1, State)};
handle_call(running, _From, #state{pool = Pool} = State) ->
    {reply, py_pool:running(Pool), State};
handle_call(stats, _From, #state{pool = Pool} = State) ->
    {reply, py_pool:stats(Pool), State};
handle_call(hosts, _From, #state{pool = Pool} = State) ->
    {reply, py_pool:hosts(Pool), State};
handle_call(controls, _From, #state{hosts = Hosts} = State) ->
    {reply, [Control || {_, Control} <- maps:values(Hosts), is_pid(Control)], State}.

-spec handle_cast(term(), #state{}) -> {noreply, #state{}}.
handle_cast({cancel, Key}, State) ->
    {noreply, cancel(Key, State)};
handle_cast({host, Host, HostState, Control}, State) ->
    State1 = forget(Host, HostState, remember(Host, Control, State)),
    _ = is_pid(Control) andalso py_logging:tell(Control),
    {noreply, change(fun(Pool) -> py_pool:host(Host, HostState, Pool) end, State1)};
handle_cast(Message, State) ->
    {noreply, stray(Message, State)}.

-spec handle_info(term(), #state{}) -> {noreply, #state{}}.
handle_info({py_done, Context}, State) ->
    {noreply, change(fun(Pool) -> py_pool:done(Context, Pool) end, State)};
handle_info({py_joined, Token, Context, _Info}, #state{tokens = Tokens} = State) ->
    case maps:take(Token, Tokens) of
        {{Host, Timer}, Rest} ->
            _ = erlang:cancel_timer(Timer),
            {noreply, joined(Context, Host, Token, State#state{tokens = Rest})};
        error ->
            %% Too late; nobody counts on it.
            ok = py_handler_sup:dismiss(Context, not_awaited),
            {noreply, State}
    end;
handle_info({{grow, _Token}, {ok, _}}, State) ->
    {noreply, State};
handle_info({{grow, Token}, Outcome}, State) ->
    {noreply, not_joined(Token, py_result:reason(Outcome), State)};
handle_info({join_timeout, Token}, State) ->
    {noreply, not_joined(Token, <<"a new context did not connect">>, State)};
handle_info({drop, _Outcome}, State) ->
    {noreply, State};
handle_info({{interrupt, Context}, Outcome}, State) ->
    {noreply, interrupted(Context, py_control:answer(Outcome), State)};
handle_info({{interrupt_within, From}, Outcome}, State) ->
    gen_server:reply(From, py_control:answer(Outcome) =/= missed),
    {noreply, State};
handle_info({insist, Context, Key}, State) ->
    {noreply, change(fun(Pool) -> py_pool:insist(Context, Key, Pool) end, State)};
handle_info({give_up, Context, Key}, State) ->
    {noreply, change(fun(Pool) -> py_pool:give_up(Context, Key, Pool) end, State)};
handle_info(look, State) ->
    {noreply, look(State)};
handle_info({replace, Host}, State) ->
    {noreply, change(fun(Pool) -> py_pool:replace(Host, Pool) end, State)};
handle_info({'DOWN', Monitor, process, Pid, Reason}, State) ->
    {noreply, down(Monitor, Pid, Reason, State)};
handle_info({{owner_down, Key}, _Monitor, process, _Pid, _Reason}, State) ->
    {noreply, cancel(Key, State)};
handle_info(Message, State) ->
    {noreply, stray(Message, State)}.

%% What has ended

-spec down(reference(), pid(), term(), #state{}) -> #state{}.
down(Monitor, Pid, Reason, #state{contexts = Contexts, hosts = Hosts, spaces = Spaces} = State) ->
    case {Contexts, Hosts, Spaces} of
        {#{Pid := {Monitor, _, _}}, _, _} ->
            State1 = answer_interrupts(Pid, true, State#state{contexts = maps:remove(Pid, Contexts)}),
            change(fun(Pool) -> py_pool:ended(Pid, sent(Reason), py_result:ended(Reason), Pool) end, State1);
        {_, #{Pid := {Monitor, _}}, _} ->
            State1 = forget(Pid, starting, State#state{hosts = maps:remove(Pid, Hosts)}),
            change(fun(Pool) -> py_pool:host_gone(Pid, Pool) end, State1);
        {_, _, #{Pid := {Monitor, In}}} ->
            lists:foreach(fun(Host) -> drop(Pid, Host, State) end, In),
            State#state{spaces = maps:remove(Pid, Spaces)};
        _ ->
            State
    end.

%% A handler says so when it ends without having sent what it was given.
-spec sent(term()) -> sent | unsent.
sent(normal) -> unsent;
sent(noproc) -> unsent;
sent({shutdown, {unsent, _}}) -> unsent;
sent(_) -> sent.

-spec drop(pid(), pid(), #state{}) -> ok.
drop(Space, Host, #state{hosts = Hosts}) ->
    case Hosts of
        #{Host := {_, Control}} when is_pid(Control) -> py_control:drop(Control, Space, drop);
        #{} -> ok
    end.

%% Those for whom it is done

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
interrupt(Context, State) ->
    case control(Context, State) of
        {ok, Control, Token} ->
            ok = py_control:interrupt(Control, Token, 1, {interrupt, Context}),
            State;
        false ->
            %% The host is lost, and the context with it.
            self() ! {{interrupt, Context}, {down, closed}},
            State
    end.

%% What a context is known by to its host.
-spec control(pid(), #state{}) -> {ok, pid(), py_handshake:token()} | false.
control(Context, #state{hosts = Hosts, contexts = Contexts}) ->
    case Contexts of
        #{Context := {_, Host, Token}} ->
            case Hosts of
                #{Host := {_, Control}} when is_pid(Control) -> {ok, Control, Token};
                #{} -> false
            end;
        #{} ->
            false
    end.

-spec interrupted(pid(), hit | missed | failed, #state{}) -> #state{}.
interrupted(Context, Answer, State) ->
    _ = Answer =:= hit andalso py_handler:interrupted(Context),
    State1 = answer_interrupts(Context, Answer =:= hit, State),
    change(fun(Pool) -> py_pool:interrupted(Context, Answer, Pool) end, State1).

-spec answer_interrupts(pid(), boolean(), #state{}) -> #state{}.
answer_interrupts(Context, Hit, #state{interrupts = Interrupts} = State) ->
    lists:foreach(fun(From) -> gen_server:reply(From, Hit) end, maps:get(Context, Interrupts, [])),
    State#state{interrupts = maps:remove(Context, Interrupts)}.

%% Contexts that wait for each other

%% Looks at them from now on, if calls wait without hope for another one.
-spec look_out(#state{}) -> #state{}.
look_out(#state{sight = none} = State) -> look(State);
look_out(State) -> State.

-spec look(#state{}) -> #state{}.
look(#state{sight = Before, pool = Pool} = State) ->
    case py_pool:full(Pool) of
        {true, Contexts, Waiting} -> judge(py_stuck:judge(Contexts, Waiting, Before), State);
        false -> State#state{sight = none}
    end.

-spec judge({look_again, py_stuck:standing()} | {refuse, all | [pid()]}, #state{}) -> #state{}.
judge({look_again, Sight}, State) ->
    _ = erlang:send_after(?LOOK_AFTER, self(), look),
    State#state{sight = Sight};
judge({refuse, Which}, State) ->
    %% The functions that waited for them go on. Others may wait still.
    look_out(change(fun(Pool) -> py_pool:refuse_waiting(Which, Pool) end, State#state{sight = none})).

%% Namespaces

%% A process whose namespace is on some host goes there again, if it needs it.
-spec place(any | {context, pid()}, pid(), boolean(), #state{}) -> py_pool:where().
place(any, Space, true, #state{spaces = Spaces}) ->
    case Spaces of
        #{Space := {_, [Host | _]}} -> {host, Host};
        #{} -> any
    end;
place(Where, _Space, _Keep, _State) ->
    Where.

-spec keep(pid(), pid(), #state{}) -> #state{}.
keep(Space, Host, #state{spaces = Spaces} = State) ->
    case Spaces of
        #{Space := {Monitor, In}} ->
            State#state{spaces = Spaces#{Space := {Monitor, [Host | lists:delete(Host, In)]}}};
        #{} ->
            State#state{spaces = Spaces#{Space => {monitor(process, Space), [Host]}}}
    end.

%% A host that starts anew has none of what it had, and will not do what it was asked to.
-spec forget(pid(), py_pool:host_state(), #state{}) -> #state{}.
forget(_Host, up, State) ->
    State;
forget(Host, _HostState, #state{spaces = Spaces, tokens = Tokens} = State) ->
    State#state{
        spaces = maps:filtermap(fun(_, {Monitor, In}) -> forget_space(Monitor, lists:delete(Host, In)) end, Spaces),
        tokens = maps:filter(fun(_, Awaited) -> not forget_token(Host, Awaited) end, Tokens)
    }.

-spec forget_space(reference(), [pid()]) -> false | {true, {reference(), [pid()]}}.
forget_space(Monitor, []) ->
    _ = demonitor(Monitor, [flush]),
    false;
forget_space(Monitor, In) ->
    {true, {Monitor, In}}.

-spec forget_token(pid(), {pid(), reference()}) -> boolean().
forget_token(Host, {Host, Timer}) ->
    _ = erlang:cancel_timer(Timer),
    true;
forget_token(_Host, _Awaited) ->
    false.

%% What is to be done

-spec change(fun((py_pool:pool()) -> {[py_pool:effect()], py_pool:pool()}), #state{}) -> #state{}.
change(Change, #state{pool = Pool} = State) ->
    {Effects, Pool1} = Change(Pool),
    lists:foldl(fun effect/2, State#state{pool = Pool1}, Effects).

-spec effect(py_pool:effect(), #state{}) -> #state{}.
effect({send, Context, Host, #{from := From, space := Space, payload := Payload, keep := Keep}}, State) ->
    ok = py_handler:request(Context, {caller, From, self()}, Space, Payload),
    case Keep of
        true when is_pid(Space) -> keep(Space, Host, State);
        _ -> State
    end;
effect({over, #{key := Key}}, State) ->
    unwatch(Key, State);
effect({reply, #{key := Key, from := From}, Answer}, State) ->
    gen_server:reply(From, Answer),
    unwatch(Key, State);
effect({ready, From, Answer}, State) ->
    gen_server:reply(From, Answer),
    State;
effect({grow, Host}, State) ->
    grow(Host, State);
effect({grow_later, Host}, State) ->
    _ = erlang:send_after(?REPLACE_AFTER, self(), {replace, Host}),
    State;
effect({interrupt, Context}, State) ->
    interrupt(Context, State);
effect({insist_later, Context, Key}, State) ->
    _ = erlang:send_after(?INSIST_AFTER, self(), {insist, Context, Key}),
    State;
effect({kill_later, Context, Key}, State) ->
    _ = erlang:send_after(?GIVE_UP_AFTER, self(), {give_up, Context, Key}),
    State;
effect({kill, Context}, State) ->
    %% Also when it is running a function; its socket closes with it.
    ok = py_handler_sup:dismiss(Context, given_up),
    State.

-spec grow(pid(), #state{}) -> #state{}.
grow(Host, #state{hosts = Hosts, tokens = Tokens} = State) ->
    #{Host := {_, Control}} = Hosts,
    Token = py_coordinator:expect(context),
    ok = py_control:start_context(Control, Token, {grow, Token}),
    Timer = erlang:send_after(?JOIN_TIMEOUT, self(), {join_timeout, Token}),
    State#state{tokens = Tokens#{Token => {Host, Timer}}}.

-spec joined(pid(), pid(), py_handshake:token(), #state{}) -> #state{}.
joined(Context, Host, Token, #state{contexts = Contexts} = State) ->
    State1 = State#state{contexts = Contexts#{Context => {monitor(process, Context), Host, Token}}},
    change(fun(Pool) -> py_pool:joined(Context, Host, Pool) end, State1).

-spec not_joined(py_handshake:token(), term(), #state{}) -> #state{}.
not_joined(Token, Reason, #state{tokens = Tokens} = State) ->
    case maps:take(Token, Tokens) of
        {{Host, Timer}, Rest} ->
            _ = erlang:cancel_timer(Timer),
            ?LOG_WARNING(#{what => py_context_failed, reason => Reason}),
            change(fun(Pool) -> py_pool:join_failed(Host, Reason, Pool) end, State#state{tokens = Rest});
        error ->
            State
    end.

-spec remember(pid(), none | pid(), #state{}) -> #state{}.
remember(Host, Control, #state{hosts = Hosts} = State) ->
    Monitor =
        case Hosts of
            #{Host := {Known, _}} -> Known;
            #{} -> monitor(process, Host)
        end,
    State#state{hosts = Hosts#{Host => {Monitor, Control}}}.

-spec stray(term(), #state{}) -> #state{}.
stray(Message, State) ->
    ?LOG_WARNING(#{what => py_stray_message, process => ?MODULE, message => Message}),
    State.
