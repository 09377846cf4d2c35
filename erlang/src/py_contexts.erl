%% @doc Keeps the contexts: Python threads of the hosts that serve the node's calls. {@link py_pool} decides, this process does.
%%
%% A caller's process and the context's handler speak to each other through it once per call, with the arguments already encoded; the
%% answer goes straight from the handler to the caller.
-module(py_contexts).
-behaviour(gen_server).

-export([start_link/1]).
-export([run/5, start/2, list/2, stop/0, running/0, stats/0]).
-export([host/3]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).

-include_lib("kernel/include/logger.hrl").

-record(state, {
    pool :: py_pool:pool(),
    %% Hosts that have told of themselves: their monitor, and the handler of their control channel while they are up.
    hosts = #{} :: #{pid() => {reference(), none | pid()}},
    contexts = #{} :: #{pid() => reference()},
    %% Contexts asked for, until they connect.
    tokens = #{} :: #{py_handshake:token() => {Host :: pid(), Timer :: reference()}},
    %% Processes with namespaces in Python, and where.
    spaces = #{} :: #{pid() => {reference(), [Host :: pid()]}},
    %% Calls that wait for a context, and the monitor of who waits: a call that nobody waits for any more is not done.
    waiting = #{} :: #{Key :: reference() => Monitor :: reference()}
}).

%% For a new thread to connect, and until an ended context is made up for.
-define(JOIN_TIMEOUT, 10000).
-define(REPLACE_AFTER, 50).

-spec start_link(py_settings:settings()) -> gen_server:start_ret().
start_link(Settings) ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, Settings, []).

%% @doc Has a context do a call. `Keep' says that what it leaves in the namespace matters: later calls of that process go to the
%% same host, and the namespace is dropped with the process.
-spec run(any | {context, pid()}, pid(), boolean(), binary(), timeout()) -> py_conversation:outcome().
run(Where, Space, Keep, Payload, Timeout) ->
    Key = make_ref(),
    case ask({run, Key, Where, Space, Keep, Payload}, Timeout) of
        timeout ->
            gen_server:cast(?MODULE, {cancel, Key}),
            timeout;
        Outcome ->
            Outcome
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
handle_call({run, Key, Where, Space, Keep, Payload}, From, State) ->
    Request = #{key => Key, from => From, where => place(Where, Space, Keep, State), space => Space, keep => Keep,
                payload => Payload},
    {noreply, watch(Request, change(fun(Pool) -> py_pool:submit(Request, Pool) end, State))};
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
    {reply, py_pool:stats(Pool), State}.

-spec handle_cast(term(), #state{}) -> {noreply, #state{}}.
handle_cast({cancel, Key}, State) ->
    {noreply, change(fun(Pool) -> py_pool:cancel(Key, Pool) end, unwatch(Key, State))};
handle_cast({host, Host, HostState, Control}, State) ->
    State1 = forget_spaces(Host, HostState, remember(Host, Control, State)),
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
            {noreply, joined(Context, Host, State#state{tokens = Rest})};
        error ->
            %% Too late; nobody counts on it.
            exit(Context, kill),
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
handle_info({replace, Host}, State) ->
    {noreply, change(fun(Pool) -> py_pool:replace(Host, Pool) end, State)};
handle_info({'DOWN', Monitor, process, Pid, Reason}, State) ->
    {noreply, down(Monitor, Pid, Reason, State)};
handle_info(Message, State) ->
    {noreply, stray(Message, State)}.

%% What has ended

-spec down(reference(), pid(), term(), #state{}) -> #state{}.
down(Monitor, Pid, Reason, #state{contexts = Contexts, hosts = Hosts, spaces = Spaces} = State) ->
    case {Contexts, Hosts, Spaces} of
        {#{Pid := Monitor}, _, _} ->
            State1 = State#state{contexts = maps:remove(Pid, Contexts)},
            change(fun(Pool) -> py_pool:ended(Pid, py_result:ended(Reason), Pool) end, State1);
        {_, #{Pid := {Monitor, _}}, _} ->
            State1 = forget_spaces(Pid, starting, State#state{hosts = maps:remove(Pid, Hosts)}),
            change(fun(Pool) -> py_pool:host_gone(Pid, Pool) end, State1);
        {_, _, #{Pid := {Monitor, In}}} ->
            lists:foreach(fun(Host) -> drop(Pid, Host, State) end, In),
            State#state{spaces = maps:remove(Pid, Spaces)};
        _ ->
            given_up(Monitor, State)
    end.

-spec drop(pid(), pid(), #state{}) -> ok.
drop(Space, Host, #state{hosts = Hosts}) ->
    case Hosts of
        #{Host := {_, Control}} when is_pid(Control) ->
            py_handler:request(Control, {message, self(), drop}, none, py_term:encode({drop, [Space]}));
        #{} ->
            ok
    end.

%% Those who wait

-spec watch(py_pool:request(), #state{}) -> #state{}.
watch(#{key := Key, from := {Caller, _}}, #state{pool = Pool, waiting = Waiting} = State) ->
    case py_pool:waits(Key, Pool) of
        true -> State#state{waiting = Waiting#{Key => monitor(process, Caller)}};
        false -> State
    end.

-spec unwatch(reference(), #state{}) -> #state{}.
unwatch(Key, #state{waiting = Waiting} = State) ->
    case maps:take(Key, Waiting) of
        {Monitor, Rest} ->
            demonitor(Monitor, [flush]),
            State#state{waiting = Rest};
        error ->
            State
    end.

-spec given_up(reference(), #state{}) -> #state{}.
given_up(Monitor, #state{waiting = Waiting} = State) ->
    case [Key || {Key, M} <- maps:to_list(Waiting), M =:= Monitor] of
        [Key] -> change(fun(Pool) -> py_pool:cancel(Key, Pool) end, State#state{waiting = maps:remove(Key, Waiting)});
        [] -> State
    end.

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

%% A host that starts anew has none of what it had.
-spec forget_spaces(pid(), py_pool:host_state(), #state{}) -> #state{}.
forget_spaces(_Host, up, State) ->
    State;
forget_spaces(Host, _HostState, #state{spaces = Spaces} = State) ->
    State#state{spaces = maps:filtermap(fun(_, {Monitor, In}) -> forget(Monitor, lists:delete(Host, In)) end, Spaces)}.

-spec forget(reference(), [pid()]) -> false | {true, {reference(), [pid()]}}.
forget(Monitor, []) ->
    _ = demonitor(Monitor, [flush]),
    false;
forget(Monitor, In) ->
    {true, {Monitor, In}}.

%% What is to be done

-spec change(fun((py_pool:pool()) -> {[py_pool:effect()], py_pool:pool()}), #state{}) -> #state{}.
change(Change, #state{pool = Pool} = State) ->
    {Effects, Pool1} = Change(Pool),
    lists:foldl(fun effect/2, State#state{pool = Pool1}, Effects).

-spec effect(py_pool:effect(), #state{}) -> #state{}.
effect({send, Context, Host, #{key := Key, from := From, space := Space, payload := Payload, keep := Keep}}, State) ->
    ok = py_handler:request(Context, {caller, From, self()}, Space, Payload),
    State1 = unwatch(Key, State),
    case Keep of
        true when is_pid(Space) -> keep(Space, Host, State1);
        _ -> State1
    end;
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
effect({kill, Context}, State) ->
    %% The one way to end a handler that may be running a function; its socket closes with it.
    exit(Context, kill),
    State.

-spec grow(pid(), #state{}) -> #state{}.
grow(Host, #state{hosts = Hosts, tokens = Tokens} = State) ->
    #{Host := {_, Control}} = Hosts,
    Token = py_coordinator:expect(context),
    ok = py_handler:request(Control, {message, self(), {grow, Token}}, none, py_term:encode({start_context, [Token]})),
    Timer = erlang:send_after(?JOIN_TIMEOUT, self(), {join_timeout, Token}),
    State#state{tokens = Tokens#{Token => {Host, Timer}}}.

-spec joined(pid(), pid(), #state{}) -> #state{}.
joined(Context, Host, #state{contexts = Contexts} = State) ->
    State1 = State#state{contexts = Contexts#{Context => monitor(process, Context)}},
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
