%% @doc One host: an operating-system process that runs Python, started, watched, and started again when it ends.
%%
%% Whatever is wrong with Python or its host, this process lives on, and tries again after a pause. The host has the other
%% end of a port on descriptors 3 and 4: end of file on 3 tells it that the node is gone, and on 4 it says why it cannot start.
-module(py_host).
-behaviour(gen_server).

-export([start_link/2]).
-export([init/1, handle_continue/2, handle_call/3, handle_cast/2, handle_info/2, terminate/2]).
-export([arguments/3]).

-include_lib("kernel/include/logger.hrl").

-record(state, {
    path :: string(),
    settings :: py_settings:settings(),
    port = none :: none | port(),
    %% While it starts: what it will show, and the timer that ends our patience.
    token = none :: none | py_handshake:token(),
    timer = none :: none | reference(),
    %% While it is up: its control channel, and since when.
    control = none :: none | {pid(), reference()},
    since = 0 :: integer(),
    pause :: pos_integer(),
    last_line = <<>> :: binary()
}).

-define(START_TIMEOUT, 30000).
-define(SHORTEST_PAUSE, 100).
-define(LONGEST_PAUSE, 5000).
%% Settings that a host keeps to as well.
-define(LIMITS, [{max_frame, "--max-frame"}, {max_workers, "--max-workers"}, {max_nesting, "--max-nesting"}, {max_async, "--max-async"},
                 {max_submitted_bytes, "--max-submitted-bytes"}, {poll, "--poll"}]).
%% For a host that was asked to stop.
-define(FAREWELL, 2000).

-spec start_link(string(), py_settings:settings()) -> gen_server:start_ret().
start_link(Path, Settings) ->
    gen_server:start_link(?MODULE, {Path, Settings}, []).

%% @doc The host's command line. Pure.
-spec arguments(string(), py_handshake:token(), py_settings:settings()) -> [string() | binary()].
arguments(Path, Token, #{python := Python} = Settings) ->
    ["host", "--beam", Path, "--token", Token]
    ++ lists:append([[Flag, integer_to_list(map_get(Name, Settings))] || {Name, Flag} <- ?LIMITS])
    ++ case Python of undefined -> []; _ -> ["--python", Python] end.

%% gen_server

-spec init({string(), py_settings:settings()}) -> {ok, #state{}, {continue, launch}}.
init({Path, Settings}) ->
    %% So that terminate/2 runs, and the host hears that it should stop.
    process_flag(trap_exit, true),
    py_contexts:host(self(), starting, none),
    {ok, #state{path = Path, settings = Settings, pause = ?SHORTEST_PAUSE}, {continue, launch}}.

-spec handle_continue(launch, #state{}) -> {noreply, #state{}}.
handle_continue(launch, State) ->
    {noreply, launch(State)}.

-spec handle_call(term(), gen_server:from(), #state{}) -> {noreply, #state{}}.
handle_call(Request, From, State) ->
    {noreply, stray({call, From, Request}, State)}.

-spec handle_cast(term(), #state{}) -> {noreply, #state{}}.
handle_cast(Message, State) ->
    {noreply, stray(Message, State)}.

-spec handle_info(term(), #state{}) -> {noreply, #state{}}.
handle_info(launch, #state{port = none} = State) ->
    {noreply, launch(State)};
handle_info({py_joined, Token, Control, _Info}, #state{token = Token, timer = Timer} = State) when is_binary(Token), is_pid(Control) ->
    _ = erlang:cancel_timer(Timer),
    py_contexts:host(self(), up, Control),
    {noreply, State#state{token = none, timer = none, control = {Control, monitor(process, Control)}, since = now_ms()}};
handle_info({Port, {data, {_, Line}}}, #state{port = Port} = State) when is_port(Port), is_binary(Line) ->
    {noreply, State#state{last_line = Line}};
handle_info({Port, {exit_status, Status}}, #state{port = Port} = State) when is_port(Port), is_integer(Status) ->
    Text = iolist_to_binary(io_lib:format("the Python host ended with status ~b", [Status])),
    {noreply, failed(case last_line(State) of <<>> -> Text; Line -> Line end, State)};
handle_info({'DOWN', Monitor, process, _, Reason}, #state{control = {_, Monitor}} = State) ->
    {noreply, failed(end_of(py_result:ended(Reason), State), State)};
handle_info({start_timeout, Token}, #state{token = Token} = State) when is_binary(Token) ->
    {noreply, failed(<<"the Python host did not connect in time">>, State)};
handle_info({start_timeout, _Earlier}, State) ->
    {noreply, State};
handle_info({'EXIT', Port, _Reason}, State) when is_port(Port) ->
    {noreply, State};
handle_info(Message, State) ->
    {noreply, stray(Message, State)}.

-spec terminate(term(), #state{}) -> ok.
terminate(_Reason, #state{port = none}) ->
    ok;
terminate(_Reason, #state{port = Port, control = Control} = State) ->
    case Control of
        {Pid, _} ->
            ok = py_handler:bye(Pid),
            receive
                {Port, {exit_status, _}} -> ok
            after ?FAREWELL -> ok
            end;
        none ->
            ok
    end,
    _ = close(State),
    ok.

%% Starting and ending

-spec launch(#state{}) -> #state{}.
launch(#state{path = Path, settings = Settings} = State) ->
    Token = py_coordinator:expect(host),
    State1 = State#state{token = Token, last_line = <<>>},
    try open(executable(), arguments(Path, Token, Settings), Settings) of
        Port ->
            Timer = erlang:send_after(?START_TIMEOUT, self(), {start_timeout, Token}),
            State1#state{port = Port, timer = Timer}
    catch
        throw:{missing, Executable} ->
            failed(unicode:characters_to_binary([Executable, " is missing: `make build` makes it"]), State1);
        error:Reason ->
            failed(unicode:characters_to_binary(io_lib:format("cannot start ~ts: ~0tp", [executable(), Reason])), State1)
    end.

-spec open(file:filename(), [string() | binary()], py_settings:settings()) -> port().
open(Executable, Arguments, #{env := Env, cd := Cd}) ->
    Options = [nouse_stdio, exit_status, binary, {line, 4096}, {args, Arguments}, {env, Env}]
        ++ [{cd, Cd} || Cd =/= undefined],
    filelib:is_regular(Executable) orelse throw({missing, Executable}),
    open_port({spawn_executable, Executable}, Options).

-spec executable() -> file:filename().
executable() ->
    Priv =
        case code:priv_dir(erlang_python) of
            {error, bad_name} -> filename:join(filename:dirname(filename:dirname(code:which(?MODULE))), "priv");
            Directory -> Directory
        end,
    filename:join(Priv, "erlpy").

%% Whoever calls Python is told at once when a start has failed. When a host that was up is lost, what it did has failed, but what comes
%% next may well wait for the next one.
-spec failed(term(), #state{}) -> #state{}.
failed(Reason, #state{control = Control, since = Since, pause = Pause} = State) ->
    ?LOG_WARNING(#{what => py_host_down, reason => Reason, was_up => Control =/= none}),
    {Told, Pause1} =
        case Control of
            none -> {{failed, Reason}, Pause};
            _ -> {starting, case now_ms() - Since > ?LONGEST_PAUSE of true -> ?SHORTEST_PAUSE; false -> Pause end}
        end,
    py_contexts:host(self(), Told, none),
    _ = erlang:send_after(Pause1, self(), launch),
    (close(State))#state{pause = min(2 * Pause1, ?LONGEST_PAUSE)}.

-spec close(#state{}) -> #state{}.
close(#state{port = Port, token = Token, timer = Timer, control = Control} = State) ->
    _ = Token =/= none andalso py_coordinator:forget(Token),
    _ = Timer =/= none andalso erlang:cancel_timer(Timer),
    close_port(Port),
    case Control of
        {Pid, Monitor} ->
            demonitor(Monitor, [flush]),
            exit(Pid, kill);
        none ->
            true
    end,
    State#state{port = none, token = none, timer = none, control = none}.

%% The port may have closed by itself a moment ago.
-spec close_port(port() | none) -> ok.
close_port(none) ->
    ok;
close_port(Port) ->
    try port_close(Port) of
        true -> ok
    catch
        error:badarg -> ok
    end.

%% What the host had to say comes by another way than its end, and may come after it.
-spec last_line(#state{}) -> binary().
last_line(#state{port = Port, last_line = Line} = State) ->
    receive
        {Port, {data, {_, Next}}} -> last_line(State#state{last_line = Next})
    after 20 ->
        Line
    end.

%% The control channel ends with the process: its status tells more than `closed' does.
-spec end_of(term(), #state{}) -> term().
end_of(Reason, #state{port = Port}) ->
    receive
        {Port, {exit_status, Status}} ->
            iolist_to_binary(io_lib:format("the Python host ended with status ~b", [Status]))
    after 20 ->
        Reason
    end.

-spec now_ms() -> integer().
now_ms() ->
    erlang:monotonic_time(millisecond).

-spec stray(term(), #state{}) -> #state{}.
stray(Message, State) ->
    ?LOG_WARNING(#{what => py_stray_message, process => ?MODULE, message => Message}),
    State.
