# Installs Tocsin for the person who runs this, without an administrator: the
# program, an entry in the Start menu, and the handler of tocsin:// links.
$ErrorActionPreference = 'Stop'
$here = Split-Path -Parent $MyInvocation.MyCommand.Path
$to = Join-Path $env:LOCALAPPDATA 'Programs\Tocsin'
$exe = Join-Path $to 'tocsin-desktop.exe'

New-Item -ItemType Directory -Force -Path $to | Out-Null
# A program that runs cannot be overwritten, but it can be renamed.
if (Test-Path $exe) {
    $old = "$exe.old"
    Remove-Item -Force -ErrorAction SilentlyContinue $old
    Rename-Item $exe $old
}
Copy-Item -Force (Join-Path $here 'tocsin-desktop.exe') $exe
foreach ($f in 'tocsin.exe', 'uninstall.ps1', 'LICENSE.txt', 'README.txt') {
    Copy-Item -Force (Join-Path $here $f) $to
}
Remove-Item -Force -ErrorAction SilentlyContinue "$exe.old"

$link = (New-Object -ComObject WScript.Shell).CreateShortcut((Join-Path ([Environment]::GetFolderPath('Programs')) 'Tocsin.lnk'))
$link.TargetPath = $exe
$link.WorkingDirectory = $to
$link.Description = 'See an incident as it is, decide, and keep the record'
$link.Save()

$key = 'HKCU:\Software\Classes\tocsin'
New-Item -Force -Path "$key\shell\open\command" | Out-Null
Set-ItemProperty -Path $key -Name '(default)' -Value 'URL:Tocsin'
Set-ItemProperty -Path $key -Name 'URL Protocol' -Value ''
Set-ItemProperty -Path "$key\shell\open\command" -Name '(default)' -Value ('"{0}" "%1"' -f $exe)
Write-Host "Tocsin is installed: $exe. To remove it: $(Join-Path $to 'uninstall.ps1')"
