%% @doc Where the node listens: a socket in a directory for its user alone, or at the path of the
%% setting `socket'.
%%
%% A file is only ever removed when it is a socket with no listener behind it, or our own.
-module(py_endpoint).

-export([create/1, remove/1, listen/1, close/3]).
%% For tests.
-export([lock/1]).
-export_type([endpoint/0, file/0]).

-include_lib("kernel/include/file.hrl").

-opaque endpoint() :: {private, Path :: string()} | given.
%% A private one lies in a directory of our own, which goes with it.

-opaque file() :: {Device :: integer(), Inode :: integer()}.
%% A socket file of this node. No other file gets its number while the socket is open.

-type failure() :: {bad_setting, socket, binary()}.

%% sun_path, less the final zero.
-define(LONGEST, 107).
-define(BACKLOG, 1024).

%% The type in a file's mode, as stat(2) has it. Erlang knows sockets and pipes as `other'.
-define(TYPE_MASK, 8#170000).
-define(TYPE_SOCKET, 8#140000).

%% @doc Chooses the place. With a path given, its directory is the user's business.
-spec create(undefined | string()) -> {ok, endpoint(), Path :: string()} | {error, failure()}.
create(undefined) ->
    Base = first([os:getenv("XDG_RUNTIME_DIR"), os:getenv("TMPDIR"), "/tmp"]),
    Random = string:lowercase(integer_to_list(rand:uniform(1 bsl 32), 36)),
    Directory = filename:join(Base, "erlpy-" ++ os:getpid() ++ "-" ++ Random),
    Path = filename:join(Directory, "s"),
    case fits(Path) andalso private(Directory) of
        true -> {ok, {private, Path}, Path};
        false -> too_long(Path);
        {error, Reason} -> bad("cannot make ~ts: ~ts", [Directory, file:format_error(Reason)])
    end;
create(Path) ->
    case fits(Path) of
        true -> {ok, given, Path};
        false -> too_long(Path)
    end.

%% @doc Removes the directory of {@link create/1}. {@link close/3} removes a socket at a given path.
-spec remove(endpoint()) -> ok.
remove(given) ->
    ok;
remove({private, Path}) ->
    _ = file:delete(Path),
    _ = file:del_dir(filename:dirname(Path)),
    ok.

%% @doc A listening socket of the calling process. A socket file without a listener is replaced; any
%% other file is left alone and refused.
%%
%% Exactly one of several nodes gets a path: it holds a lock from its look at the path until it
%% listens.
-spec listen(string()) -> {ok, socket:socket(), file()} | {error, failure()}.
listen(Path) ->
    case lock(Path) of
        {ok, Lock} ->
            Result = occupy(Path),
            _ = socket:close(Lock),
            Result;
        {error, eaddrinuse} ->
            bad("another node is about to listen at ~ts: choose another path (setting socket)", [Path]);
        {error, Reason} ->
            refused(Path, Reason)
    end.

%% @doc Removes the socket's file, unless another one has taken its place, and closes the socket.
-spec close(string(), socket:socket(), file()) -> ok.
close(Path, Socket, File) ->
    case identify(Path) of
        {ok, File} -> _ = file:delete(Path), ok;
        _ -> ok
    end,
    _ = socket:close(Socket),
    ok.

%% The lock is an address outside the file system, named after the directory and the name in it. The
%% kernel gives it to one socket at a time, and frees it even when the node is killed.
-spec lock(string()) -> {ok, socket:socket()} | {error, atom()}.
lock(Path) ->
    case file:read_file_info(filename:dirname(Path), [raw]) of
        {ok, #file_info{major_device = Device, inode = Inode}} ->
            Digest = erlang:md5(term_to_binary({Device, Inode, filename:basename(Path)})),
            bind(<<0, "erlpy-", (binary:encode_hex(Digest))/binary>>);
        {error, Reason} ->
            {error, Reason}
    end.

-spec occupy(string()) -> {ok, socket:socket(), file()} | {error, failure()}.
occupy(Path) ->
    case stands(Path) of
        nothing ->
            open(Path);
        dead_socket ->
            case file:delete(Path) of
                ok -> open(Path);
                {error, Reason} -> refused(Path, Reason)
            end;
        listener ->
            bad("somebody listens at ~ts already: stop that node, or choose another path (setting socket)", [Path]);
        {other, What} ->
            bad("~ts stands at ~ts, which is left as it is: choose another path, or remove it (setting socket)", [What, Path]);
        {error, Reason} ->
            refused(Path, Reason)
    end.

-spec open(string()) -> {ok, socket:socket(), file()} | {error, failure()}.
open(Path) ->
    case bind(Path) of
        {ok, Socket} ->
            case {identify(Path), file:change_mode(Path, 8#600), socket:listen(Socket, ?BACKLOG)} of
                {{ok, File}, ok, ok} ->
                    {ok, Socket, File};
                {{ok, File}, Changed, Listens} ->
                    ok = close(Path, Socket, File),
                    [{error, Reason} | _] = [Error || {error, _} = Error <- [Changed, Listens]],
                    refused(Path, Reason);
                {{error, Reason}, _, _} ->
                    _ = socket:close(Socket),
                    refused(Path, Reason)
            end;
        {error, Reason} ->
            refused(Path, Reason)
    end.

-spec bind(string() | binary()) -> {ok, socket:socket()} | {error, atom()}.
bind(Path) ->
    {ok, Socket} = socket:open(local, stream),
    case socket:bind(Socket, #{family => local, path => Path}) of
        ok ->
            {ok, Socket};
        {error, Reason} ->
            _ = socket:close(Socket),
            {error, Reason}
    end.

%% Links are not followed: a link to a dead socket may be in use itself.
-spec stands(string()) -> nothing | dead_socket | listener | {other, string()} | {error, atom()}.
stands(Path) ->
    case file:read_link_info(Path, [raw]) of
        {ok, #file_info{type = other, mode = Mode}} when Mode band ?TYPE_MASK =:= ?TYPE_SOCKET -> probe(Path);
        {ok, #file_info{type = other}} -> {other, "a named pipe"};
        {ok, #file_info{type = regular}} -> {other, "a file"};
        {ok, #file_info{type = symlink}} -> {other, "a symbolic link"};
        {ok, #file_info{type = Type}} -> {other, ["a ", atom_to_list(Type)]};
        {error, enoent} -> nothing;
        {error, Reason} -> {error, Reason}
    end.

%% A full backlog has a listener too, and so has a datagram socket.
-spec probe(string()) -> nothing | dead_socket | listener | {error, atom()}.
probe(Path) ->
    {ok, Probe} = socket:open(local, stream),
    Result = socket:connect(Probe, #{family => local, path => Path}, nowait),
    _ = socket:close(Probe),
    case Result of
        {error, econnrefused} -> dead_socket;
        {error, enoent} -> nothing;
        {error, Reason} when Reason =/= eagain, Reason =/= eprototype -> {error, Reason};
        _ -> listener
    end.

-spec identify(string()) -> {ok, file()} | {error, atom()}.
identify(Path) ->
    case file:read_link_info(Path, [raw]) of
        {ok, #file_info{major_device = Device, inode = Inode}} -> {ok, {Device, Inode}};
        {error, Reason} -> {error, Reason}
    end.

-spec private(string()) -> true | {error, file:posix()}.
private(Directory) ->
    %% The name is new, so a directory that stands there already is somebody else's, and refused.
    case file:make_dir(Directory) of
        ok ->
            case file:change_mode(Directory, 8#700) of
                ok -> true;
                {error, Reason} -> {error, Reason}
            end;
        {error, Reason} ->
            {error, Reason}
    end.

-spec first([string() | false]) -> string().
first([false | Rest]) -> first(Rest);
first(["" | Rest]) -> first(Rest);
first([Path | _]) -> Path.

-spec fits(string()) -> boolean().
fits(Path) ->
    byte_size(unicode:characters_to_binary(Path)) =< ?LONGEST.

-spec too_long(string()) -> {error, failure()}.
too_long(Path) ->
    bad("a socket's path may have ~b bytes, this one is longer: ~ts (setting socket)", [?LONGEST, Path]).

-spec refused(string(), atom()) -> {error, failure()}.
refused(Path, Reason) ->
    bad("cannot listen at ~ts: ~ts (setting socket)", [Path, file:format_error(Reason)]).

-spec bad(string(), [term()]) -> {error, failure()}.
bad(Format, Arguments) ->
    {error, {bad_setting, socket, unicode:characters_to_binary(io_lib:format(Format, Arguments))}}.
