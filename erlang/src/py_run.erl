%% @doc The node of `erlpy run --erl': compiles and registers functions, and lives as long as the program that started it.
%%
%% Started as `erl ... -s py_run main -extra SOCKET FILE...' with a socket pair's end as descriptor 3, on which it says one line:
%% `ready NAME...', or `error TEXT' with line feeds as `\n'. End of file there means that the other end is gone or wants no
%% more, so nothing is left behind even when it was killed.
-module(py_run).

-export([main/0, load/1]).
%% Started by name.
-export([guard/0, run/0]).

-define(DESCRIPTOR, 3).

%% @doc Returns at once, so that the node's start can end; the work is done, and the end awaited, by a process of its own.
-spec main() -> ok.
main() ->
    _ = proc_lib:spawn(?MODULE, guard, []),
    ok.

%% @private
%% The process that does the work ends only by halting the node, so one that ends otherwise has crashed: a node without it would
%% never end.
-spec guard() -> no_return().
guard() ->
    {_, Monitor} = spawn_monitor(?MODULE, run, []),
    receive
        {'DOWN', Monitor, process, _, _} ->
            clear(),
            halt(1)
    end.

%% @private
-spec run() -> no_return().
run() ->
    {ok, Line} = socket:open(?DESCRIPTOR, #{domain => local, type => stream, protocol => default, dup => false}),
    [Socket | Files] = init:get_plain_arguments(),
    try prepare(Socket, Files) of
        {ok, Names} ->
            say(Line, ["ready" | [[" ", Name] || Name <- Names]]),
            wait(Line);
        {error, Text} ->
            fail(Line, Text)
    catch
        Class:Reason:Stack ->
            fail(Line, py_text:line({Class, Reason, Stack}, 1000))
    end.

-spec fail(socket:socket(), unicode:chardata()) -> no_return().
fail(Line, Text) ->
    say(Line, ["error ", string:replace(string:trim(Text), "\n", "\\n", all)]),
    stop(1).

-spec prepare(string(), [file:filename()]) -> {ok, [binary()]} | {error, unicode:chardata()}.
prepare(Socket, Files) ->
    case start(Socket) of
        ok -> load_all(Files);
        {error, Text} -> {error, Text}
    end.

-spec start(string()) -> ok | {error, unicode:chardata()}.
start(Socket) ->
    ok = application:load(erlang_python),
    %% The program that started this node is itself where Python runs, unless the command line says otherwise.
    Hosts = application:get_env(erlang_python, hosts, 0),
    ok = application:set_env(erlang_python, hosts, Hosts),
    ok = application:set_env(erlang_python, socket, Socket),
    case application:ensure_all_started(erlang_python) of
        {ok, _} -> ok;
        {error, Reason} -> {error, py_text:line(Reason, 1000)}
    end.

-spec load_all([file:filename()]) -> {ok, [binary()]} | {error, unicode:chardata()}.
load_all([]) ->
    {ok, py_registry:names()};
load_all([File | Files]) ->
    case load(File) of
        {ok, _Names} -> load_all(Files);
        {error, Text} -> {error, Text}
    end.

%% @doc Compiles a file, loads it, and registers its exported functions of one argument under their names.
-spec load(file:filename()) -> {ok, [atom()]} | {error, unicode:chardata()}.
load(File) ->
    case compile:file(filename:rootname(File, ".erl"), [binary, return, {i, filename:dirname(File)}]) of
        {ok, Module, Code, Warnings} ->
            io:put_chars(standard_error, messages("Warning: ", Warnings)),
            case is_own(Module) of
                true -> {error, io_lib:format("~ts: erlang_python has a module of the name ~ts already", [File, Module])};
                false -> install(Module, File, Code)
            end;
        {error, Errors, _Warnings} ->
            {error, messages("", Errors)}
    end.

%% Whether it would replace a module of this application.
-spec is_own(module()) -> boolean().
is_own(Module) ->
    case {code:which(Module), code:which(?MODULE)} of
        {[_ | _] = Theirs, [_ | _] = Ours} -> filename:dirname(Theirs) =:= filename:dirname(Ours);
        _ -> false
    end.

-spec install(module(), file:filename(), binary()) -> {ok, [atom()]} | {error, unicode:chardata()}.
install(Module, File, Code) ->
    case code:load_binary(Module, File, Code) of
        {module, Module} ->
            Names = [Name || {Name, 1} <- Module:module_info(exports), Name =/= module_info],
            lists:foreach(fun(Name) -> ok = py:register_function(Name, Module, Name) end, Names),
            {ok, Names};
        {error, sticky_directory} ->
            {error, io_lib:format("~ts: OTP has a module of the name ~ts already", [File, Module])};
        {error, Reason} ->
            {error, io_lib:format("~ts: cannot be loaded: ~0tp", [File, Reason])}
    end.

%% As the compiler prints them: `file:line:column: text'.
-spec messages(string(), [{file:filename(), [tuple()]}]) -> unicode:chardata().
messages(Prefix, Files) ->
    [message(Prefix, File, Info) || {File, Infos} <- Files, Info <- Infos].

-spec message(string(), file:filename(), tuple()) -> unicode:chardata().
message(Prefix, File, {Location, Module, Description}) ->
    [File, location(Location), ": ", Prefix, Module:format_error(Description), "\n"];
message(Prefix, File, {Module, Description}) ->
    [File, ": ", Prefix, Module:format_error(Description), "\n"].

-spec location(none | erl_anno:location()) -> unicode:chardata().
location(none) -> "";
location({Line, Column}) -> io_lib:format(":~b:~b", [Line, Column]);
location(Line) -> io_lib:format(":~b", [Line]).

-spec say(socket:socket(), unicode:chardata()) -> ok.
say(Line, Text) ->
    _ = socket:send(Line, unicode:characters_to_binary([Text, "\n"])),
    ok.

%% Ends with the other end of the descriptor, which a dying process closes too. A socket, not a port: when the other end
%% dies with our line unread the descriptor has no end of file but a reset, of which a port of a descriptor tells nobody.
-spec wait(socket:socket()) -> no_return().
wait(Line) ->
    case socket:recv(Line, 0) of
        {ok, _} -> wait(Line);
        {error, _} ->
            stop(0)
    end.

%% Stops in good order, so that the socket goes, without the node's reports of it: to the user this is the end of a script.
-spec stop(0 | 1) -> no_return().
stop(Status) ->
    ok = logger:set_primary_config(level, none),
    _ = application:stop(erlang_python),
    clear(),
    halt(Status).

%% Removes the socket's directory, if the parent program has made it for this node (argument
%% -erlpy_directory). The parent removes it too, unless it was killed. At any other place the
%% application removes its own socket.
-spec clear() -> ok.
clear() ->
    case init:get_argument(erlpy_directory) of
        {ok, [[Directory]]} ->
            [Socket | _Files] = init:get_plain_arguments(),
            _ = file:delete(Socket),
            _ = file:del_dir(Directory),
            ok;
        error ->
            ok
    end.
