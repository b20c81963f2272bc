; The installer for one person, without an administrator. pack.ps1 gives
; VERSION, NUMBERS (four of them), APP (folder with the programs), ICON and OUT.
Unicode true
SetCompressor /SOLID lzma
Name "Tocsin"
OutFile "${OUT}"
RequestExecutionLevel user
InstallDir "$LOCALAPPDATA\Programs\Tocsin"
Icon "${ICON}"
UninstallIcon "${ICON}"
VIProductVersion "${NUMBERS}"
VIAddVersionKey "ProductName" "Tocsin"
VIAddVersionKey "FileDescription" "Tocsin"
VIAddVersionKey "FileVersion" "${VERSION}"
VIAddVersionKey "ProductVersion" "${VERSION}"
VIAddVersionKey "LegalCopyright" "The Tocsin authors, Apache-2.0"

!define UNINSTALL "Software\Microsoft\Windows\CurrentVersion\Uninstall\Tocsin"

Page instfiles
UninstPage uninstConfirm
UninstPage instfiles

Section
	SetOutPath "$INSTDIR"
	; A program that runs cannot be overwritten, but it can be renamed.
	Delete "$INSTDIR\tocsin-desktop.exe.old"
	Rename "$INSTDIR\tocsin-desktop.exe" "$INSTDIR\tocsin-desktop.exe.old"
	File "${APP}\tocsin-desktop.exe"
	File "${APP}\tocsin.exe"
	File "${APP}\LICENSE.txt"
	Delete "$INSTDIR\tocsin-desktop.exe.old"
	CreateShortcut "$SMPROGRAMS\Tocsin.lnk" "$INSTDIR\tocsin-desktop.exe"
	WriteRegStr HKCU "Software\Classes\tocsin" "" "URL:Tocsin"
	WriteRegStr HKCU "Software\Classes\tocsin" "URL Protocol" ""
	WriteRegStr HKCU "Software\Classes\tocsin\shell\open\command" "" '"$INSTDIR\tocsin-desktop.exe" "%1"'
	WriteRegStr HKCU "${UNINSTALL}" "DisplayName" "Tocsin"
	WriteRegStr HKCU "${UNINSTALL}" "DisplayVersion" "${VERSION}"
	WriteRegStr HKCU "${UNINSTALL}" "DisplayIcon" "$INSTDIR\tocsin-desktop.exe"
	WriteRegStr HKCU "${UNINSTALL}" "Publisher" "The Tocsin authors"
	WriteRegStr HKCU "${UNINSTALL}" "UninstallString" '"$INSTDIR\uninstall.exe"'
	WriteRegDWORD HKCU "${UNINSTALL}" "NoModify" 1
	WriteRegDWORD HKCU "${UNINSTALL}" "NoRepair" 1
	WriteUninstaller "$INSTDIR\uninstall.exe"
SectionEnd

Section "Uninstall"
	; Rooms and settings, in %APPDATA%\tocsin, stay.
	Delete "$SMPROGRAMS\Tocsin.lnk"
	DeleteRegKey HKCU "Software\Classes\tocsin"
	DeleteRegValue HKCU "Software\Microsoft\Windows\CurrentVersion\Run" "Tocsin"
	DeleteRegKey HKCU "${UNINSTALL}"
	Delete "$INSTDIR\tocsin-desktop.exe"
	Delete "$INSTDIR\tocsin-desktop.exe.old"
	Delete "$INSTDIR\tocsin.exe"
	Delete "$INSTDIR\LICENSE.txt"
	Delete "$INSTDIR\uninstall.exe"
	RMDir "$INSTDIR"
SectionEnd
